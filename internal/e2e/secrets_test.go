package e2e

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// maxShown is how many characters of a session id or of a signature may be shown.
const maxShown = 8

// secrets are texts that must not appear in the output and the answers of a test's instances.
type secrets struct {
	mu    sync.Mutex
	texts map[string]string // from secret to description
	ids   map[string]string // the same for the parts of cookies
}

// secretsByTest holds the secrets of each test, by the name of the outermost one.
var secretsByTest sync.Map

// secretsOf returns the secrets of a test, which it shares with its subtests.
func secretsOf(t testing.TB) *secrets {
	name, _, _ := strings.Cut(t.Name(), "/")
	s, _ := secretsByTest.LoadOrStore(name, &secrets{texts: make(map[string]string), ids: make(map[string]string)})
	return s.(*secrets)
}

// keepSecret registers a secret, as it is and as it is escaped in a URL.
func keepSecret(t testing.TB, what, secret string) {
	s := secretsOf(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		s.texts[text] = what
	}
}

// search fails the test if an answer contains a secret or one of these cookies. The cookies become secrets: of each of the
// two parts of a session's cookie, at most maxShown characters may be shown.
func search(t testing.TB, answer string, cookies ...*http.Cookie) {
	t.Helper()
	s := secretsOf(t)
	s.mu.Lock()
	found := linesWith(answer, s.texts)
	for _, cookie := range cookies {
		id, signature, ok := strings.Cut(cookie.Value, ".")
		if !ok || len(id) <= maxShown || len(signature) <= maxShown {
			continue
		}
		parts := map[string]string{id[:maxShown+1]: "a session id", signature[:maxShown+1]: "a signature"}
		found = append(found, linesWith(answer, parts)...)
		maps.Copy(s.ids, parts)
	}
	s.mu.Unlock()
	for _, line := range found {
		t.Errorf("an answer tells %s", line)
	}
}

// leaks returns the lines of a text with any of the secrets in them.
func (s *secrets) leaks(text string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(linesWith(text, s.texts), linesWith(text, s.ids)...)
}

func linesWith(text string, secrets map[string]string) (found []string) {
	for secret, what := range secrets {
		if before, _, ok := strings.Cut(text, secret); ok {
			from := strings.LastIndexByte(before, '\n') + 1
			line, _, _ := strings.Cut(text[from:], "\n")
			found = append(found, what+": "+line)
		}
	}
	return found
}
