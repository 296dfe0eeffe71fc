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

// Apart lets a command that this process is about to start live on when the terminal's Ctrl-C, or anything else, ends
// this process. It must end by itself.
func Apart(*exec.Cmd) {}

// KillOrphan ends a child whose parent has gone.
func KillOrphan(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // fails only if it has ended
	}
}
