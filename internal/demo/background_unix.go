//go:build unix

package demo

import (
	"os/signal"
	"syscall"
)

// stayInBackground lets a demo that a shell has put into the background go on: what it reads of the terminal fails,
// where it would be stopped otherwise.
func stayInBackground() { signal.Ignore(syscall.SIGTTIN) }
