package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/redisfault"
)

// healthz says that the process serves. It never touches Redis: an app that is restarted because its Redis is away
// is no better off.
func (a *App) healthz() gin.HandlerFunc {
	answer := gin.H{"status": "ok", "instance": a.Instance}
	return func(c *gin.Context) {
		c.JSON(http.StatusOK, answer)
	}
}

// readyz says whether the process can count visits now.
func (a *App) readyz() gin.HandlerFunc {
	refuse := func(c *gin.Context, wrong, todo string) {
		c.Header("Retry-After", retryAfter)
		c.JSON(http.StatusServiceUnavailable, errorAnswer{wrong, todo})
	}
	return func(c *gin.Context) {
		switch {
		case a.Draining():
			refuse(c, "this instance is stopping", "send requests to another instance")
		case a.Missing != nil:
			refuse(c, errNoRedis.Error(), "open / to see how to add one")
		default:
			if err := a.Ping(c.Request.Context()); err != nil {
				fault := redisfault.Explain(err)
				refuse(c, fault.Wrong, fault.Todo)
				return
			}
			c.JSON(http.StatusOK, gin.H{"status": "ready", "instance": a.Instance})
		}
	}
}
