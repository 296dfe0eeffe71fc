package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

// TestNothingIsLeftOfATestThatIsKilled kills a test with an instance, a Redis and a browser. All it has started has its
// TMPDIR, or works in it, by which they are found.
func TestNothingIsLeftOfATestThatIsKilled(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	tests := exec.Command(os.Args[0], "-test.run=^TestRedisAwayIsSaidAndTheCountGoesOn$")
	tests.Env = append(os.Environ(), "TMPDIR="+temp)
	var said output
	tests.Stdout, tests.Stderr = &said, &said
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(said.String())
		}
	})
	if err := tests.Start(); err != nil {
		t.Fatal(err)
	}
	program := filepath.Base(os.Args[0]) // of the test and of the instance
	redistest.Wait(t, "the test to be under way", func() bool {
		names := processesIn(temp)
		return slices.Contains(names, "redis-server") && strings.Count(strings.Join(names, " "), program) >= 2 &&
			slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "chrom") }) // chrome or chromium
	})
	if err := tests.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = tests.Wait() // says that it was killed
	redistest.Wait(t, "every process to end, and every folder to go", func() bool {
		entries, err := os.ReadDir(temp)
		return err == nil && len(entries) == 0 && len(processesIn(temp)) == 0
	})
}

// processesIn returns the names of the processes that belong to this folder. One that has ended has neither an environment
// nor a folder any more.
func processesIn(temp string) (names []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes { // any of which may go just now
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		dir, _ := os.Readlink(filepath.Join(process, "cwd"))
		if bytes.Contains(environment, []byte("TMPDIR="+temp)) || strings.HasPrefix(dir, temp) {
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	return names
}
