package static_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"

	"visit-counter/static"
)

func TestEveryFileIsImmutableUnderItsHashedName(t *testing.T) {
	for _, c := range []struct {
		file              static.File
		name, contentType string
		url               string
	}{
		{static.Style, "style.css", "text/css; charset=utf-8", `^/static/style\.[\w-]{12}\.css$`},
		{static.Script, "script.js", "text/javascript; charset=utf-8", `^/static/script\.[\w-]{12}\.js$`},
		{static.Icon, "favicon.svg", "image/svg+xml", `^/static/favicon\.[\w-]{12}\.svg$`},
	} {
		if !regexp.MustCompile(c.url).MatchString(c.file.URL) {
			t.Errorf("%s is at %s; want %s", c.name, c.file.URL, c.url)
		}
		content, err := os.ReadFile(c.name)
		if err != nil {
			t.Fatal(err)
		}
		for method, body := range map[string]string{http.MethodGet: string(content), http.MethodHead: ""} {
			w := httptest.NewRecorder()
			c.file.ServeHTTP(w, httptest.NewRequest(method, c.file.URL, nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s %s = %d; want 200", method, c.name, w.Code)
			}
			for header, want := range map[string]string{
				"Content-Type":           c.contentType,
				"Cache-Control":          "public, max-age=31536000, immutable",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s %s: %s = %q; want %q", method, c.name, header, got, want)
				}
			}
			if sent := w.Body.String(); sent != body {
				t.Errorf("%s %s sent %d bytes; want %d", method, c.name, len(sent), len(body))
			}
		}
	}
}
