package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"visit-counter/internal/proctest"
	"visit-counter/internal/redistest"
)

// TestNothingIsLeftOfATestThatIsKilled kills a test with an instance, a Redis and a browser. It finds their processes by the
// test's TMPDIR, which is in their environment or is where they work.
func TestNothingIsLeftOfATestThatIsKilled(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	tests := exec.Command(os.Args[0], "-test.run=^TestRedisAwayIsSaidAndTheCountGoesOn$")
	tests.Env = append(os.Environ(), "TMPDIR="+temp)
	var said proctest.Output
	tests.Stdout, tests.Stderr = &said, &said
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(said.String())
		}
	})
	must(t, tests.Start())
	program := filepath.Base(os.Args[0]) // of the test and of the instance
	redistest.Wait(t, "the test to be under way", func() bool {
		names := proctest.Processes(temp)
		return slices.Contains(names, "redis-server") && strings.Count(strings.Join(names, " "), program) >= 2 &&
			slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "chrom") }) // chrome or chromium
	})
	must(t, tests.Process.Kill())
	_ = tests.Wait() // its error says that it was killed
	proctest.NothingIsLeft(t, temp)
}
