//go:build linux || darwin

package demo

import (
	"os"
	"os/exec"
	"syscall"
)

// canLock is true where files can be locked.
const canLock = true

const (
	shared    = syscall.LOCK_SH
	exclusive = syscall.LOCK_EX
)

// tryLock locks a file, or returns an error at once if others hold another lock. A lock ends with the process, however
// that ends.
func tryLock(file *os.File, how int) error { return syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB) }

// detach lets a command live on when the terminal's Ctrl-C, or anything else, ends this process.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
