package handlers

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/internal/backend"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// visitsField is the session's field with the count. Together with the ledger's fields, it is all that is kept of a visitor.
const visitsField = "visits"

// home counts one visit and shows it.
func (a *app) home() gin.HandlerFunc {
	row := rowName(a.pages.Started, a.pages.Instance)
	plain := []string{row, visitsField, earlierProcessField} // what a page may show of a command
	return func(c *gin.Context) {
		// The store limits each operation; this limits them all, where a session is damaged or its ledger trimmed.
		ctx, cancel := context.WithTimeout(c.Request.Context(), a.Timeout)
		defer cancel()
		ctx, sent := backend.Trace(ctx)
		*c.Request = *c.Request.WithContext(ctx) // in place: the session of gin-contrib/sessions holds this request

		visit, err := a.count(c, row)
		if err != nil {
			a.fail(c, err)
			return
		}
		visit.RoundTrips, visit.RedisTime = sent.RoundTrips(), sent.Elapsed()

		c.Header("Vary", "Accept")
		if wantsJSON(c) {
			c.JSON(http.StatusOK, a.answerOf(visit))
			return
		}
		visit.RedisCommands = sent.Commands(plain...)
		a.show(c, http.StatusOK, func(w io.Writer) error { return a.pages.Home(w, visit) })
	}
}

// count counts one visit, in one round trip. A session that is damaged is left aside, and the visitor gets a new one.
func (a *app) count(c *gin.Context, row string) (templates.Home, error) {
	visit, err := countOnce(c, row)
	if !damaged(err) {
		return visit, err
	}
	a.log.LogAttrs(c.Request.Context(), slog.LevelError, "damaged session set aside", slog.Any("err", err))
	if err := redisstore.Default(c).Abandon(); err != nil {
		return templates.Home{}, err
	}
	return countOnce(c, row)
}

func countOnce(c *gin.Context, row string) (templates.Home, error) {
	result, err := redisstore.Default(c).Increment(visitsField, 1, redisstore.And(row, 1))
	if err != nil {
		return templates.Home{}, err
	}
	l, err := newLedger(result, row)
	if err != nil {
		return templates.Home{}, err
	}
	session := sessions.Default(c)
	l.trim(session)
	return templates.Home{
		Now:        time.Now(),
		Visits:     result.Count,
		Rows:       l.rows,
		Earlier:    l.earlier,
		Instances:  l.instances,
		Restarts:   l.restarts,
		FirstVisit: result.CreatedAt,
		ExpiresIn:  result.ExpiresIn,
		New:        result.Created,
		ID:         backend.Mask(session.ID()),
		Router:     routerHeader(c.Request),
	}, nil
}

// homeHead answers HEAD /, which is not a visit.
func homeHead(c *gin.Context) {
	c.Header("Vary", "Accept")
	if wantsJSON(c) {
		c.Header("Content-Type", jsonType)
		return
	}
	c.Header("Content-Type", htmlType)
	isolate(c)
}
