// Package static holds the files that a browser loads beside the page: one stylesheet, one script, one icon. They are
// part of the binary, and are served under names that contain a hash of their content, so that a browser may keep them
// forever and still never shows an old one.
package static

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

var (
	//go:embed style.css
	style []byte
	//go:embed script.js
	script []byte
	//go:embed favicon.svg
	icon []byte
)

// The files. Their types do not come from package mime, which asks the machine it runs on.
var (
	Style  = newFile("style", ".css", "text/css; charset=utf-8", style)
	Script = newFile("script", ".js", "text/javascript; charset=utf-8", script)
	Icon   = newFile("favicon", ".svg", "image/svg+xml", icon)

	All = []File{Style, Script, Icon}
)

// File is an embedded file. It is an http.Handler that answers GET and HEAD; refusing other methods is the router's task.
type File struct {
	URL string // the only path under which it is found: "/static/style.<hash>.css"

	contentType string
	body        []byte
}

func newFile(name, extension, contentType string, body []byte) File {
	sum := sha256.Sum256(body)
	hash := base64.RawURLEncoding.EncodeToString(sum[:9])
	return File{"/static/" + name + "." + hash + extension, contentType, body}
}

// ServeHTTP sends the file with permission to keep it forever.
func (f File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+strings.TrimPrefix(f.URL, "/static/")+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
