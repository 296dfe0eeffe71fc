//go:build !linux && !darwin

package child

import (
	"errors"
	"os"
	"os/exec"
)

// TempDir returns a new, empty directory. On this system, nothing removes it.
func TempDir() (string, error) { return os.MkdirTemp("", "visit-counter-") }

func join(*exec.Cmd) error { return nil }

// Terminate kills a process, because this system has no SIGTERM. It returns nil if the process has already ended.
func Terminate(p *os.Process) error {
	if err := p.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Suspend is not supported on this system.
func Suspend(*os.Process) error { return errors.ErrUnsupported }

// Resume does nothing, because Suspend does nothing.
func Resume(*os.Process) error { return nil }
