package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
)

type healthAnswer struct {
	Status   string `json:"status"`
	Instance string `json:"instance"`
}

// healthz says that the process serves. It never asks Redis: restarting the app does not bring Redis back.
func (a *app) healthz(c *gin.Context) {
	c.JSON(http.StatusOK, healthAnswer{"ok", a.pages.Instance})
}

// readyz says whether the process can count visits now.
func (a *app) readyz(c *gin.Context) {
	refuse := func(wrong, todo string) {
		c.Header("Retry-After", retryAfter)
		c.JSON(http.StatusServiceUnavailable, errorAnswer{wrong, todo})
	}
	switch {
	case a.Draining():
		refuse("this instance is stopping", "send requests to another instance")
	case a.pages.Store == config.StoreNone:
		refuse(errNoRedis.Error(), "open / to see how to add one")
	default:
		if err := a.Check(c.Request.Context()); err != nil {
			fault := redisfault.Explain(err)
			refuse(fault.Wrong, fault.Todo)
			return
		}
		c.JSON(http.StatusOK, healthAnswer{"ready", a.pages.Instance})
	}
}
