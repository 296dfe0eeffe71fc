package handlers

import (
	"bytes"
	"context"
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
	c.Header("Cache-Control", "no-store")
	c.Header("Vary", "Accept")
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
	c.Data(p.Status, "text/html; charset=utf-8", page.Bytes())
}

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
	var network net.Error
	switch {
	case errors.Is(err, redisstore.ErrFull), redis.HasErrorPrefix(err, "OOM"):
		return "Redis is out of memory and takes no new data.",
			"Give it more memory, or a policy that makes room: redis-cli CONFIG SET maxmemory-policy volatile-lru."
	case redis.IsAuthError(err), redis.HasErrorPrefix(err, "WRONGPASS"), redis.HasErrorPrefix(err, "NOAUTH"):
		return "Redis refuses the password of this app.", "Correct the password in the address of Redis and restart the app."
	case redis.IsPermissionError(err), redis.HasErrorPrefix(err, "NOPERM"):
		return "Redis does not permit what this app needs.", "See the README for the commands and keys its user needs."
	case redis.IsLoadingError(err):
		return "Redis has just started and is still loading its data.", "Try again in a moment."
	case redis.IsReadOnlyError(err):
		return "This Redis is a replica and takes no writes.", "Try again in a moment; if it stays so, use the master's address."
	case redis.IsMaxClientsError(err):
		return "Redis has no connection left for this app.", "Try again in a moment, or lower REDIS_POOL_SIZE."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "Redis did not answer in time.", "Try again in a moment."
	}
	return "", ""
}
