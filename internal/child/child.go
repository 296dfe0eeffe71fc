// Package child starts programs that end when this one does. On Linux and macOS that holds however this one ends; on other
// systems a child may outlive a parent that is killed.
package child

import (
	"context"
	"os/exec"
	"time"
)

// Command returns a command for the caller to start. When ctx ends, the command gets SIGTERM, and SIGKILL if it still runs
// after stopTimeout; 0 means that it is never killed. On Linux and macOS, the Ctrl-C of a terminal does not reach it: this
// process decides when it ends. Elsewhere it is killed at once.
func Command(ctx context.Context, stopTimeout time.Duration, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return Terminate(cmd.Process) }
	cmd.WaitDelay = stopTimeout
	return cmd, join(cmd)
}
