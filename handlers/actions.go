package handlers

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/redisfault"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// reset ends the session: gone from Redis, gone from the browser.
func (a *app) reset(c *gin.Context) {
	if err := redisstore.Default(c).Destroy(); err != nil {
		fault := redisfault.Explain(err)
		_ = c.Error(fault)
		problem := templates.ResetFailed()
		problem.Wrong += " " + fault.Wrong
		problem.Todo = fault.Todo
		a.problem(c, problem)
		return
	}
	c.Redirect(http.StatusSeeOther, "/")
}

// stop ends this process, after its answer and those of the requests under way.
func (a *app) stop(c *gin.Context) {
	a.problem(c, templates.Stopping(a.pages.Instance))
	c.Writer.Flush()
	a.log.LogAttrs(c.Request.Context(), slog.LevelInfo, "stopping on request")
	a.Stop()
}
