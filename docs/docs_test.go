// Package docs holds the documents to what they describe: every Markdown file of the tree, found by walking it.
package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"visit-counter/internal/config"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// tree is the repository.
var tree = os.DirFS("..")

// files returns the text of every file of the tree whose name ends so, by its path.
func files(t *testing.T, ending string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ending) {
			text, err := fs.ReadFile(tree, name)
			found[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// documents returns every Markdown file, and fails if the walk has missed the ones that are surely there.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := files(t, ".md")
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "docs/heroku.md", "redisstore/README.md", "bench/README.md"} {
		if found[name] == "" {
			t.Fatalf("%s was not found", name)
		}
	}
	return found
}

// TestSnippetsAreCodeThatIsCompiled: each Go snippet is part of a Go file, so it compiles with all the rest.
func TestSnippetsAreCodeThatIsCompiled(t *testing.T) {
	t.Parallel()
	code := files(t, ".go")
	fence := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	snippets := 0
	for document, text := range documents(t) {
	snippet:
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			snippets++
			for _, file := range code {
				if strings.Contains(file, m[1]) {
					continue snippet
				}
			}
			t.Errorf("%s shows code that is in no file:\n%s", document, m[1])
		}
	}
	if snippets < 5 {
		t.Errorf("found only %d snippets", snippets)
	}
}

// TestLinksLeadSomewhere: a link within the tree leads to a file, and its anchor to a heading there.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]+))?\)|(?:src|srcset)="([^":]+)"`)
	links, anchors := 0, 0
	for document, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := document
			if file := m[1] + m[3]; file != "" {
				target = path.Join(path.Dir(document), file)
			}
			links++
			if _, err := fs.Stat(tree, target); err != nil {
				t.Errorf("%s links to %s, which is not there", document, target)
			}
			if anchor := m[2]; anchor != "" {
				anchors++
				if !hasHeading(texts[target], anchor) {
					t.Errorf("%s links to #%s of %s, which has no such heading", document, anchor, target)
				}
			}
		}
	}
	if links < 40 || anchors < 2 {
		t.Errorf("found only %d links and %d anchors", links, anchors)
	}
}

// hasHeading reports whether a document has the heading to which GitHub gives this anchor.
func hasHeading(text, anchor string) bool {
	punctuation := regexp.MustCompile(`[^\w\- ]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		words := punctuation.ReplaceAllString(strings.ToLower(heading[1]), "")
		if strings.ReplaceAll(words, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// TestCommandsInTheDocumentsExist: make targets, and tests in the package that the command names.
func TestCommandsInTheDocumentsExist(t *testing.T) {
	t.Parallel()
	makefile := files(t, "Makefile")["Makefile"]
	tests := files(t, "_test.go")
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	target := regexp.MustCompile(`\bmake ([a-z-]+)`)
	test := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	command := regexp.MustCompile(`go test [^\n` + "`" + `]*-run (\w+) \./([\w/]+)`)
	targets, commands := 0, 0
	for document, text := range documents(t) {
		for _, shown := range code.FindAllString(text, -1) {
			for _, m := range target.FindAllStringSubmatch(shown, -1) {
				targets++
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("%s names make %s, which is not there", document, m[1])
				}
			}
		}
		for _, name := range test.FindAllString(text, -1) {
			if !defines(tests, "", name) {
				t.Errorf("%s names %s, which is not there", document, name)
			}
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			commands++
			if !defines(tests, path.Clean(m[2])+"/", m[1]) {
				t.Errorf("%s runs %s, which ./%s does not have", document, m[1], m[2])
			}
		}
	}
	if targets < 5 || commands < 10 {
		t.Errorf("found only %d make targets and %d test commands", targets, commands)
	}
}

// defines reports whether a test file below folder has a test whose name contains this, as go test -run would find it.
func defines(tests map[string]string, folder, name string) bool {
	function := regexp.MustCompile(`(?m)^func \w*` + name)
	for file, text := range tests {
		if strings.HasPrefix(file, folder) && function.MatchString(text) {
			return true
		}
	}
	return false
}

// TestEachGuaranteeOfTheStoreNamesItsTest: by its whole name, while -run is content with a part of one.
func TestEachGuaranteeOfTheStoreNamesItsTest(t *testing.T) {
	t.Parallel()
	tests := files(t, "_test.go")
	_, table, _ := strings.Cut(documents(t)["redisstore/README.md"], "## What is guaranteed")
	guarantees := 0
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z].*) \|(.*)\|$`).FindAllStringSubmatch(table, -1) {
		guarantees++
		names := regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[2], -1)
		if len(names) == 0 {
			t.Errorf("%q names no test", row[1])
		}
		for _, name := range names {
			if !defines(tests, "", name[1]+`\(`) {
				t.Errorf("%q names %s, which is not there", row[1], name[1])
			}
		}
	}
	if guarantees < 10 {
		t.Errorf("found only %d guarantees", guarantees)
	}
}

// TestAVisitsWayIsCounted: the table of its files has their lines.
func TestAVisitsWayIsCounted(t *testing.T) {
	t.Parallel()
	found := 0
	for _, row := range regexp.MustCompile("(?m)^\\| \\[`([^`]+)`\\].* (\\d+) \\|$").FindAllStringSubmatch(documents(t)["CONTRIBUTING.md"], -1) {
		found++
		text, err := os.ReadFile(filepath.Join("..", row[1]))
		if err != nil {
			t.Error(err)
		}
		if lines := strings.Count(string(text), "\n"); strconv.Itoa(lines) != row[2] {
			t.Errorf("%s has %d lines, not %s", row[1], lines, row[2])
		}
	}
	if found != 8 {
		t.Errorf("found %d files, want 8", found)
	}
}

// TestTheCommandsOfThePagesAreInTheDocuments: who sees the page without a Redis finds its commands explained.
func TestTheCommandsOfThePagesAreInTheDocuments(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for platform, document := range map[config.Platform]string{
		config.Heroku: "docs/heroku.md", config.CloudFoundry: "docs/cloudfoundry.md",
	} {
		commands := templates.NoRedis(platform, "visit-counter").Commands
		if len(commands) == 0 {
			t.Errorf("%s: the page shows no commands", platform)
		}
		for _, line := range commands {
			verb := strings.Join(strings.Fields(line)[:2], " ") // its arguments are examples
			if !strings.Contains(texts[document], verb) {
				t.Errorf("%s does not show %q, which the page does", document, verb)
			}
		}
	}
}

// TestTheRightsOfARedisUserAreThoseThatAreTested: the documents show the store's own list, which its tests, doctor and the
// end-to-end tests make their users from.
func TestTheRightsOfARedisUserAreThoseThatAreTested(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for document, prefix := range map[string]string{"docs/configuration.md": "visits:", "redisstore/README.md": redisstore.DefaultPrefix} {
		words := strings.Join(strings.Fields(texts[document]), " ")
		for _, rights := range []string{redisstore.Rights, redisstore.ClusterRights} {
			if want := strings.ReplaceAll(rights, redisstore.DefaultPrefix, prefix); !strings.Contains(words, want) {
				t.Errorf("%s does not show %q", document, want)
			}
		}
	}
}
