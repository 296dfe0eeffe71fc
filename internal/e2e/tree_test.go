package e2e

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources returns the text of every Go file of the repository, by name.
func sources(t testing.TB) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(tree), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			found[name] = readFile(t, name)
		}
		return err
	})
	must(t, err)
	return found
}

// TestTestsWaitForConditionsAndNeverSkip: a test that sleeps is slow or flaky, and one that can skip proves nothing.
func TestTestsWaitForConditionsAndNeverSkip(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`\btime\.Sleep\(|\.Skip(?:f|Now)?\(`)
	tests := 0
	for name, text := range sources(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		tests++
		if found := forbidden.FindString(text); found != "" && name != "internal/e2e/tree_test.go" {
			t.Errorf("%s calls %s)", name, found)
		}
	}
	if tests < 20 {
		t.Errorf("found only %d files with tests", tests)
	}
}

// TestTheRootIsAPageOfContents keeps the root short, so that a newcomer sees at once what the repository has.
func TestTheRootIsAPageOfContents(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(tree)
	must(t, err)
	notOurs := []string{".git", ".env", ".redis", "bin"} // of a checkout that is in use
	var names, goFiles []string
	for _, entry := range entries {
		if !slices.Contains(notOurs, entry.Name()) {
			names = append(names, entry.Name())
		}
		if strings.HasSuffix(entry.Name(), ".go") {
			goFiles = append(goFiles, entry.Name())
		}
	}
	if len(names) > 24 {
		t.Errorf("the root has %d entries, want at most 24: %s", len(names), strings.Join(names, " "))
	}
	if !slices.Equal(goFiles, []string{"main.go"}) {
		t.Errorf("the root has %s, want only main.go", strings.Join(goFiles, " "))
	}
}
