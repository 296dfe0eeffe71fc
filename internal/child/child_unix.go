//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the child: whoever started the server decides when it ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
