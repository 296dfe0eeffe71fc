//go:build linux || darwin

package child

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// guard is a shell that reads from a pipe, which the system closes when this process ends. Then the shell removes the
// directory and kills its process group, which all children have joined. If a child is suspended, the system sends SIGHUP
// to the group first, which the shell must survive.
type guard struct {
	dir   string
	group int
	pipe  io.Closer // stays open until this process ends
}

const guardScript = `trap "" HUP; read -r end; /bin/rm -rf "$0"; kill -9 0`

// startGuard starts the guard of this process on the first call, and returns it.
var startGuard = sync.OnceValues(func() (*guard, error) {
	dir, err := os.MkdirTemp("", "visit-counter-")
	if err != nil {
		return nil, err
	}
	shell := exec.Command("/bin/sh", "-c", guardScript, dir)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		_ = os.Remove(dir)
		return nil, err
	}
	return &guard{dir: dir, group: shell.Process.Pid, pipe: pipe}, nil
})

// TempDir returns a new, empty directory. The guard removes it when this process ends, however it ends.
func TempDir() (string, error) {
	g, err := startGuard()
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(g.dir, "")
}

// join puts a command into the guard's process group.
func join(cmd *exec.Cmd) error {
	g, err := startGuard()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.group}
	return nil
}

// Terminate asks a process to end (SIGTERM). It returns nil if the process has already ended.
func Terminate(p *os.Process) error { return signal(p, syscall.SIGTERM) }

// Suspend freezes a process (SIGSTOP). It returns nil if the process has already ended.
func Suspend(p *os.Process) error { return signal(p, syscall.SIGSTOP) }

// Resume undoes [Suspend] (SIGCONT). It returns nil if the process has already ended.
func Resume(p *os.Process) error { return signal(p, syscall.SIGCONT) }

func signal(p *os.Process, s syscall.Signal) error {
	if err := p.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
