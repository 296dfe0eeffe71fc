//go:build linux || darwin

package demo

import (
	"os"
	"os/exec"
	"syscall"
)

// canLock reports whether this system can lock files.
const canLock = true

const (
	shared    = syscall.LOCK_SH
	exclusive = syscall.LOCK_EX
)

// tryLock locks a file, or returns an error at once if another process holds a conflicting lock. The lock ends with the
// process, however the process ends.
func tryLock(file *os.File, how int) error { return syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB) }

// detach lets a command outlive this process. The terminal's Ctrl-C does not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
