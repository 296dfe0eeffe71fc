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
