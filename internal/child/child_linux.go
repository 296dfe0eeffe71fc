package child

import (
	"os/exec"
	"syscall"
)

// detach makes the child end when its parent does, and keeps a terminal's Ctrl-C from it: whoever started
// it decides when it ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// KillOrphan ends a child whose parent has gone. On Linux it has ended already, and its number may be another's.
func KillOrphan(int) {}
