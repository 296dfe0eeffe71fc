// Package child starts programs that end with this one, however it ends, on Linux and macOS. On other systems a program
// may outlive a parent that is killed.
package child

import (
	"context"
	"os/exec"
	"time"
)

// Command returns a command to start. When ctx ends it is asked to end (SIGTERM, where there are signals), and killed if
// that takes longer than stopTimeout. A terminal's Ctrl-C does not reach it: this process decides when it ends. Start it
// with [exec.Cmd.Start] or [exec.Cmd.Run].
func Command(ctx context.Context, stopTimeout time.Duration, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return Terminate(cmd.Process) }
	cmd.WaitDelay = stopTimeout
	return cmd, join(cmd)
}
