package handlers

import (
	"github.com/gin-gonic/gin"

	"visit-counter/templates"
)

// static serves the embedded files under their hashed names.
func (a *App) static() gin.HandlerFunc {
	return func(c *gin.Context) {
		file, ok := a.Static.Lookup(c.Param("file"))
		if !ok {
			a.problem(c, templates.NotFound())
			return
		}
		file.ServeHTTP(c.Writer, c.Request)
	}
}
