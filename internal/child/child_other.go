//go:build !linux && !darwin

package child

import (
	"errors"
	"os"
	"os/exec"
)

// TempDir returns a new, empty folder. Here nothing removes it.
func TempDir() (string, error) { return os.MkdirTemp("", "visit-counter-") }

func join(*exec.Cmd) error { return nil }

// Terminate kills: there is no signal that asks.
func Terminate(p *os.Process) error { return p.Kill() }

// Suspend cannot freeze a process here.
func Suspend(*os.Process) error { return errors.ErrUnsupported }

// Resume has nothing to undo.
func Resume(*os.Process) error { return nil }
