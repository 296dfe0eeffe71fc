package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the texts for people, which must agree with what is here.
var documents = []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "redisstore/README.md"}

// sources returns the text of every Go file of the tree, by its name.
func sources(t testing.TB) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(tree), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			found[name] = readFile(t, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSnippetsAreCodeThatIsCompiled: each Go snippet of a document is part of a file of this module, so that it is
// compiled, and run, with all the rest.
func TestSnippetsAreCodeThatIsCompiled(t *testing.T) {
	t.Parallel()
	code := sources(t)
	fence := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	snippets := 0
	for _, document := range documents {
		for _, snippet := range fence.FindAllStringSubmatch(readFile(t, document), -1) {
			snippets++
			if !compiled(code, snippet[1]) {
				t.Errorf("%s shows code that is in no file:\n%s", document, snippet[1])
			}
		}
	}
	if snippets < 5 {
		t.Errorf("found only %d snippets", snippets)
	}
}

func compiled(code map[string]string, snippet string) bool {
	for _, text := range code {
		if strings.Contains(text, snippet) {
			return true
		}
	}
	return false
}

// TestLinksAndNamesInTheDocumentsExist: the files that the documents link to, the targets of the Makefile
// and the tests that they name.
func TestLinksAndNamesInTheDocumentsExist(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, text := range sources(t) {
		code.WriteString(text)
	}
	makefile := readFile(t, "Makefile")
	link := regexp.MustCompile(`\]\(([^)#:\s]+)\)|(?:src|srcset)="([^":]+)"`)
	target := regexp.MustCompile(`\bmake ([a-z-]+)`)
	test := regexp.MustCompile(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)`)
	links := 0
	for _, document := range documents {
		text := readFile(t, document)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			links++
			if _, err := os.Stat(filepath.Join(tree, filepath.Dir(document), m[1]+m[2])); err != nil {
				t.Errorf("%s links to %s, which is not there", document, m[1]+m[2])
			}
		}
		for _, m := range target.FindAllStringSubmatch(inCode(text), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s names make %s, which is not there", document, m[1])
			}
		}
		for _, m := range test.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(code.String(), "func "+m[1]) { // go test -run takes the start of a name, too
				t.Errorf("%s names %s, which is not there", document, m[1])
			}
		}
	}
	if links < 20 {
		t.Errorf("found only %d links", links)
	}
}

// inCode returns what a document shows in code: between backticks and fences.
func inCode(text string) string {
	return strings.Join(regexp.MustCompile("(?s)```.*?```|`[^`\n]+`").FindAllString(text, -1), "\n")
}

// TestSectionsThatAreLinkedToExist: a link within a document leads to one of its headings.
func TestSectionsThatAreLinkedToExist(t *testing.T) {
	t.Parallel()
	links := 0
	for _, document := range documents {
		text := readFile(t, document)
		var anchors []string
		for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
			words := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading[1]), "")
			anchors = append(anchors, strings.ReplaceAll(words, " ", "-"))
		}
		for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			links++
			if !slices.Contains(anchors, m[1]) {
				t.Errorf("%s links to #%s, which is none of its sections", document, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("no link to a section was found")
	}
}

// TestTheTableOfVariablesIsThatOfEnvExample: the README has the variables that people set, with the defaults and the words
// of .env.example. That file is compared with what is read in internal/config.
func TestTheTableOfVariablesIsThatOfEnvExample(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^# (.*)\.\n([A-Z_]+)=(.*)$`).FindAllStringSubmatch(readFile(t, ".env.example"), -1) {
		want = append(want, strings.ToLower(m[2]+" = "+m[3]+": "+m[1]))
	}
	row := regexp.MustCompile(`(?m)^\| ([A-Z_]+) \| (.*?) *\| (.*) \|$`)
	for _, m := range row.FindAllStringSubmatch(strings.ReplaceAll(readFile(t, "README.md"), "`", ""), -1) {
		got = append(got, strings.ToLower(m[1]+" = "+m[2]+": "+m[3]))
	}
	if len(want) < 15 || !slices.Equal(got, want) {
		t.Errorf("the table of README.md:\n%s\n.env.example:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
