package proctest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

// Processes returns the names of the processes that belong to a folder: their TMPDIR is in it, or they work in it.
// (redis-server writes its title over its environment.) One that has ended has neither any more.
func Processes(folder string) (names []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, process := range processes {           // any of which may go just now
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		dir, _ := os.Readlink(filepath.Join(process, "cwd"))
		if bytes.Contains(environment, []byte("TMPDIR="+folder)) || strings.HasPrefix(dir, folder) {
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	return names
}

// NothingIsLeft waits until no process belongs to the folder and nothing is in it.
func NothingIsLeft(t testing.TB, folder string) {
	t.Helper()
	redistest.Wait(t, "every process to end, and every folder to go", func() bool {
		entries, err := os.ReadDir(folder)
		return err == nil && len(entries) == 0 && len(Processes(folder)) == 0
	})
}
