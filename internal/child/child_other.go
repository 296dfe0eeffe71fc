//go:build !unix

package child

import (
	"errors"
	"os"
	"os/exec"
)

func detach(*exec.Cmd) {}

// terminate kills: there is no signal that asks.
func terminate(p *os.Process) error { return p.Kill() }

func suspend(*os.Process) error { return errors.ErrUnsupported }

// resume has nothing to do, because nothing was suspended.
func resume(*os.Process) error { return nil }
