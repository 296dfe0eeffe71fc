// Package static holds the files a browser loads beside the page: one stylesheet, one script, one icon. They are
// part of the binary, and are served under names that contain a hash of their content, so that a browser may keep
// them for ever and still never shows an old one.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Prefix is the path below which every file is served.
const Prefix = "/static/"

//go:embed files
var embedded embed.FS

// Files is the set of embedded files under their hashed names. It never changes after New, so any number of
// goroutines may use it.
type Files struct {
	urls   map[string]string // "style.css" to "/static/style.<hash>.css"
	byName map[string]*File  // "style.<hash>.css" to the file
}

// File is one embedded file. It is an http.Handler that answers GET and HEAD; refusing other methods is the router's
// task.
type File struct {
	contentType string
	etag        string
	body        []byte
}

// New reads the embedded files and names each after its content. It fails only if a file has a type that New does
// not know how to announce.
func New() (*Files, error) {
	f := &Files{urls: map[string]string{}, byName: map[string]*File{}}
	entries, err := fs.ReadDir(embedded, "files")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	for _, entry := range entries {
		if err := f.add(entry.Name()); err != nil {
			return nil, fmt.Errorf("static files: %w", err)
		}
	}
	return f, nil
}

func (f *Files) add(name string) error {
	body, err := embedded.ReadFile("files/" + name)
	if err != nil {
		return err
	}
	ext := path.Ext(name)
	contentType, err := typeOf(ext)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := base64.RawURLEncoding.EncodeToString(sum[:9])
	hashed := strings.TrimSuffix(name, ext) + "." + hash + ext
	f.urls[name] = Prefix + hashed
	f.byName[hashed] = &File{contentType: contentType, etag: `"` + hash + `"`, body: body}
	return nil
}

// typeOf does not ask package mime: its answers depend on files of the machine it runs on.
func typeOf(ext string) (string, error) {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8", nil
	case ".js":
		return "text/javascript; charset=utf-8", nil
	case ".svg":
		return "image/svg+xml", nil
	}
	return "", fmt.Errorf("no content type for files that end in %q", ext)
}

// URL returns the path under which the named file is served, such as "/static/style.<hash>.css" for "style.css". It
// returns the empty string for a name that is not embedded.
func (f *Files) URL(name string) string { return f.urls[name] }

// Lookup finds a file by its hashed name, which is what follows Prefix in the request's path. Plain names, names with
// an old hash and everything else are not found: the caller answers with its own 404.
func (f *Files) Lookup(hashed string) (*File, bool) {
	hashed = strings.TrimPrefix(hashed, "/") // a router's wildcard often keeps the slash
	file, ok := f.byName[hashed]
	return file, ok
}

// ServeHTTP sends the file with permission to keep it for ever.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
