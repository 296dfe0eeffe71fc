//go:build linux || darwin

package child_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/redistest"
)

var must = redistest.Must

const parentVariable = "CHILD_TEST_PARENT"

// TestMain lets the test binary act as the parent that TestNothingIsLeftOfAParentThatIsKilled kills.
func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	if err := parent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// parent creates a directory, and starts a child that survives SIGHUP and keeps the parent's output open. It suspends the
// child, which is the harder case: see guard. The demo's tests cover children that run.
func parent() error {
	if _, err := child.TempDir(); err != nil {
		return err
	}
	cmd, err := child.Command(context.Background(), 0, "/bin/sh", "-c", `trap "" HUP; echo ready; exec sleep 600`)
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stdout
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return err
	}
	if err := child.Suspend(cmd.Process); err != nil {
		return err
	}
	fmt.Println("the child is suspended")
	return cmd.Wait()
}

func TestNothingIsLeftOfAParentThatIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	temp := t.TempDir()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), parentVariable+"=yes", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil {
		t.Errorf("the parent printed %q (%v)", line, err)
	}
	must(t, cmd.Process.Kill())
	must(t, out.(*os.File).SetReadDeadline(time.Now().Add(30*time.Second)))
	if _, err := io.ReadAll(lines); err != nil { // the output ends when no process has it open any more
		t.Errorf("the child still runs: %v", err)
	}
	_ = cmd.Wait() // reports that the parent was killed
	redistest.Wait(t, "the directory to be removed", func() bool {
		left, err := os.ReadDir(temp)
		must(t, err)
		return len(left) == 0
	})
}
