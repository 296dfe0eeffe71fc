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

// Terminate kills: there is no signal that asks. It is no error if the process has ended.
func Terminate(p *os.Process) error {
	if err := p.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Suspend cannot freeze a process here.
func Suspend(*os.Process) error { return errors.ErrUnsupported }

// Resume has nothing to undo.
func Resume(*os.Process) error { return nil }
