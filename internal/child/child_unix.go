//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the child: whoever started it decides when it ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// KillOrphan ends a child whose parent has gone.
func KillOrphan(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) } // fails only if it has ended
