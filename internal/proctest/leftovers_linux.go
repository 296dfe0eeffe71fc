package proctest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

// Processes returns the names of the running processes that belong to a directory: their TMPDIR or their working directory
// is in it. (redis-server overwrites its environment with its title, so TMPDIR alone does not find it.)
func Processes(dir string) (names []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*") // fails only for a malformed pattern
	for _, process := range processes {           // each of which may end at any moment
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		workDir, _ := os.Readlink(filepath.Join(process, "cwd"))
		if bytes.Contains(environment, []byte("TMPDIR="+dir)) || strings.HasPrefix(workDir, dir) {
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	return names
}

// NothingIsLeft waits until no process belongs to the directory and the directory is empty.
func NothingIsLeft(t testing.TB, dir string) {
	t.Helper()
	redistest.Wait(t, "every process to end, and every directory to be removed", func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0 && len(Processes(dir)) == 0
	})
}
