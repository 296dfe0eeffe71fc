package static_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"visit-counter/static"
)

func open(t *testing.T) *static.Files {
	t.Helper()
	files, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEveryFileIsServedForEverUnderItsHashedName(t *testing.T) {
	files := open(t)
	for name, contentType := range map[string]string{
		"style.css":   "text/css; charset=utf-8",
		"script.js":   "text/javascript; charset=utf-8",
		"favicon.svg": "image/svg+xml",
	} {
		url := files.URL(name)
		hashed, ok := strings.CutPrefix(url, static.Prefix)
		if !ok {
			t.Fatalf("URL(%q) = %q; want it below %s", name, url, static.Prefix)
		}
		file, ok := files.Lookup(hashed)
		if !ok {
			t.Fatalf("Lookup(%q) found nothing", hashed)
		}
		content, err := os.ReadFile("files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for method, body := range map[string]string{http.MethodGet: string(content), http.MethodHead: ""} {
			w := httptest.NewRecorder()
			file.ServeHTTP(w, httptest.NewRequest(method, url, nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s %s = %d; want 200", method, name, w.Code)
			}
			for header, want := range map[string]string{
				"Content-Type":           contentType,
				"Cache-Control":          "public, max-age=31536000, immutable",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s %s: %s = %q; want %q", method, name, header, got, want)
				}
			}
			if sent := w.Body.String(); sent != body {
				t.Errorf("%s %s sent %d bytes; want %d", method, name, len(sent), len(body))
			}
		}
	}
}

func TestOnlyHashedNamesAreFound(t *testing.T) {
	files := open(t)
	current := strings.TrimPrefix(files.URL("style.css"), static.Prefix)
	for _, name := range []string{
		"", "/", "style.css", "style.AAAAAAAAAAAA.css", "embed.go", "files/style.css", "../embed.go",
		strings.ToUpper(current), current + "/", "//" + current,
	} {
		if _, ok := files.Lookup(name); ok {
			t.Errorf("Lookup(%q) found a file; want none", name)
		}
	}
	if _, ok := files.Lookup("/" + current); !ok {
		t.Error("a router's wildcard with its slash was not found")
	}
	if got := files.URL("embed.go"); got != "" {
		t.Errorf("URL(embed.go) = %q; want none", got)
	}
}
