package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/redisfault"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// retryAfter is how many seconds a client should wait after a 503.
const retryAfter = "2"

// fail answers a request that failed: with 503 if Redis was the cause or the visitor has left, else with 500.
func (a *app) fail(c *gin.Context, err error) {
	if errors.Is(err, redisstore.ErrUnavailable) || errors.Is(err, context.Canceled) {
		fault := redisfault.Explain(err)
		_ = c.Error(fault)
		a.problem(c, templates.Unavailable(fault.Wrong, fault.Todo))
		return
	}
	_ = c.Error(err)
	a.problem(c, templates.Internal())
}

// damaged reports whether an error is about what lies under the session's key: it would come back at each visit.
func damaged(err error) bool {
	return errors.Is(err, redisstore.ErrCorrupt) || errors.Is(err, redisstore.ErrOverflow) || errors.Is(err, redisstore.ErrTooLarge)
}

func (a *app) problemHandler(p templates.Problem) gin.HandlerFunc {
	return func(c *gin.Context) { a.problem(c, p) }
}

// problem answers with a page that is not a counted visit.
func (a *app) problem(c *gin.Context, p templates.Problem) {
	c.Abort()
	c.Header("Vary", "Accept")
	c.Writer.Header().Del("Set-Cookie") // the browser keeps the session that it has
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", retryAfter)
	}
	if wantsJSON(c) {
		hint := strings.Join(append([]string{p.Todo}, p.Commands...), "\n")
		c.JSON(p.Status, errorAnswer{p.Wrong, hint})
		return
	}
	a.show(c, p.Status, func(w io.Writer) error { return a.pages.Problem(w, p) })
}

const htmlType, jsonType = "text/html; charset=utf-8", "application/json; charset=utf-8"

// buffers hold a page until it is complete: half a page is never sent.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show answers with an HTML page.
func (a *app) show(c *gin.Context, status int, render func(io.Writer) error) {
	page := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(page)
	page.Reset()
	if err := render(page); err != nil {
		_ = c.Error(err)
		c.String(http.StatusInternalServerError, "Sorry, this page could not be shown.\n")
		return
	}
	isolate(c)
	c.Data(status, htmlType, page.Bytes())
}

// isolate keeps the windows of other sites from reaching into the page's own. Only pages need it.
func isolate(c *gin.Context) { c.Header("Cross-Origin-Opener-Policy", "same-origin") }
