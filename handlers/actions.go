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
func (a *App) reset() gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := redisstore.Default(c).Destroy(); err != nil {
			fault := redisfault.Explain(err)
			a.logFailure(c, fault)
			problem := templates.ResetFailed()
			problem.Wrong += " " + fault.Wrong
			problem.Todo = fault.Todo
			a.problem(c, problem)
			return
		}
		c.Redirect(http.StatusSeeOther, "/")
	}
}

// stop ends this process, after its answer and those of the requests under way.
func (a *App) stop() gin.HandlerFunc {
	return func(c *gin.Context) {
		a.problem(c, templates.Stopping(a.Instance))
		c.Writer.Flush()
		a.Log.LogAttrs(c.Request.Context(), slog.LevelInfo, "stopping on request")
		a.Stop()
	}
}
