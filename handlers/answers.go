package handlers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
	"visit-counter/templates"
)

// retryAfter is how many seconds a client should wait after a 503.
const retryAfter = "2"

// errorAnswer is what a client that prefers JSON is told instead of a page.
type errorAnswer struct {
	Error string `json:"error"`
	Hint  string `json:"hint"`
}

// problem answers with a page that is not a counted visit.
func (a *App) problem(c *gin.Context, p templates.Problem) {
	c.Abort()
	c.Header("Vary", "Accept")
	c.Writer.Header().Del("Set-Cookie") // the browser keeps the session that it has
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", retryAfter)
	}
	if prefersJSON(c.Request) {
		hint := strings.Join(append([]string{p.Todo}, p.Commands...), "\n")
		c.JSON(p.Status, errorAnswer{p.Wrong, hint})
		return
	}
	var page bytes.Buffer
	if err := a.Pages.Problem(&page, p); err != nil {
		a.logFailure(c, err)
		c.String(http.StatusInternalServerError, "Sorry, this page could not be shown.\n")
		return
	}
	document(c, p.Status, page.Bytes())
}

const htmlType, jsonType = "text/html; charset=utf-8", "application/json; charset=utf-8"

// document answers with an HTML page.
func document(c *gin.Context, status int, page []byte) {
	isolate(c)
	c.Data(status, htmlType, page)
}

// isolate keeps other sites' windows away from a page's own. Only a page has a window.
func isolate(c *gin.Context) { c.Header("Cross-Origin-Opener-Policy", "same-origin") }

func (a *App) problemHandler(p templates.Problem) gin.HandlerFunc {
	return func(c *gin.Context) { a.problem(c, p) }
}

// fail answers a request that could not be done: what Redis is to blame for is a 503, all else a 500.
func (a *App) fail(c *gin.Context, err error) {
	a.logFailure(c, err)
	if errors.Is(err, redisstore.ErrUnavailable) {
		a.problem(c, templates.Unavailable(reason(err)))
		return
	}
	a.problem(c, templates.Internal())
}

// logFailure notes in the request's log line why it failed.
func (a *App) logFailure(c *gin.Context, err error) { c.Set(failureKey, err) }

// reason says in words for everybody what is wrong with Redis and what to do: never a library's text.
func reason(err error) (wrong, todo string) {
	if wrong, todo, ok := refusal(err); ok {
		return wrong, todo
	}
	if wrong, todo, ok := mistrust(err); ok {
		return wrong, todo
	}
	wrong = "Redis cannot be reached."
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		wrong = "Redis did not answer in time."
	}
	return wrong, "Try again in a moment. If it stays so, check that Redis runs where this app looks for it, " +
		"and whether it wants TLS (rediss://) or not (redis://)."
}

// refusal is the reason if Redis itself has given one.
func refusal(err error) (wrong, todo string, ok bool) {
	switch {
	case errors.Is(err, redisstore.ErrFull), redis.IsOOMError(err):
		return "Redis is out of memory and takes no new data.",
			"Give it more memory, or let sessions end earlier (SESSION_TTL).", true
	case redis.IsAuthError(err):
		return "Redis refuses the password of this app.", "Correct the password in the address of Redis and restart the app.", true
	case redis.IsPermissionError(err):
		return "Redis does not permit what this app needs.", "See the README for the commands and keys its user needs.", true
	case redis.IsLoadingError(err):
		return "Redis has just started and is still loading its data.", "Try again in a moment.", true
	case redis.IsReadOnlyError(err):
		return "This Redis is a replica and takes no writes.", "Try again in a moment; if it stays so, use the master's address.", true
	case redis.IsClusterDownError(err), redis.IsMasterDownError(err):
		return "A part of Redis is down and has not been replaced yet.", "Try again in a moment.", true
	case strings.Contains(err.Error(), "DB index is out of range"):
		return "This Redis has no database of that number.", "Correct the number at the end of its address (/0) and restart the app.", true
	case strings.Contains(err.Error(), "max number of clients"):
		return "Redis has no connection left for this app.", "Try again in a moment, or lower REDIS_POOL_SIZE.", true
	}
	return "", "", false
}

// mistrust is the reason if the app refuses to talk to what answers at Redis' address.
func mistrust(err error) (wrong, todo string, ok bool) {
	var (
		host        x509.HostnameError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &host):
		return "The certificate of Redis is for another host.", "Use the host name that the certificate is for.", true
	case errors.As(err, &certificate):
		return "The certificate of Redis is not trusted.",
			"Set REDIS_TLS_CA to the CA that has signed it; REDIS_TLS_VERIFY=false trusts everybody.", true
	}
	return "", "", false
}
