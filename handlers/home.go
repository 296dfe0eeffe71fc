package handlers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/internal/backend"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// The fields of the session. Together with the ledger's rows, they are all that is kept of a visitor.
const (
	visitsField         = "visits"
	earlierProcessField = "earlier_processes" // how many processes have no row any more
)

// maxRows is how many processes keep a row of their own in the ledger.
const maxRows = 32

// home counts one visit and shows it.
func (a *app) home() gin.HandlerFunc {
	row := rowName(a.pages.Started, a.pages.Instance)
	plain := []string{row, visitsField, earlierProcessField} // what a page may show of a command
	buffers := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	return func(c *gin.Context) {
		// The store limits each operation; this limits them all, where a session is damaged or its ledger trimmed.
		ctx, cancel := context.WithTimeout(c.Request.Context(), a.Timeout)
		defer cancel()
		ctx, sent := backend.Trace(ctx)
		*c.Request = *c.Request.WithContext(ctx) // in place: the session of gin-contrib/sessions holds this request
		v, err := a.count(c, row)
		if err != nil {
			a.fail(c, err)
			return
		}
		v.roundTrips, v.redisTime = sent.RoundTrips(), sent.Elapsed()
		c.Header("Vary", "Accept")
		if wantsJSON(c) {
			c.JSON(http.StatusOK, a.homeAnswer(v))
			return
		}
		home := a.homePage(c, v)
		home.RedisCommands = sent.Commands(plain...)
		page := buffers.Get().(*bytes.Buffer)
		defer buffers.Put(page)
		page.Reset()
		if err := a.pages.Home(page, home); err != nil {
			a.fail(c, err)
			return
		}
		document(c, http.StatusOK, page.Bytes())
	}
}

// visit is one counted visit.
type visit struct {
	redisstore.Result
	ledger     ledger
	roundTrips int           // to Redis
	redisTime  time.Duration // that they took together
}

// count counts one visit, in one round trip. A session that is damaged is left aside, and the visitor gets a new one.
func (a *app) count(c *gin.Context, row string) (visit, error) {
	v, err := countOnce(c, row)
	if damaged(err) {
		a.log.LogAttrs(c.Request.Context(), slog.LevelError, "damaged session set aside", slog.Any("err", err))
		if err := redisstore.Default(c).Abandon(); err != nil {
			return visit{}, err
		}
		return countOnce(c, row)
	}
	return v, err
}

// damaged reports whether an error is about what lies under the session's key: it would come back at each visit.
func damaged(err error) bool {
	return errors.Is(err, redisstore.ErrCorrupt) || errors.Is(err, redisstore.ErrOverflow) || errors.Is(err, redisstore.ErrTooLarge)
}

func countOnce(c *gin.Context, row string) (visit, error) {
	result, err := redisstore.Default(c).Increment(visitsField, 1, redisstore.And(row, 1))
	if err != nil {
		return visit{}, err
	}
	l, err := newLedger(result, row)
	if err != nil {
		return visit{}, err
	}
	l.trim(sessions.Default(c))
	return visit{Result: result, ledger: l}, nil
}

// homePage is what the page shows of a visit.
func (a *app) homePage(c *gin.Context, v visit) templates.Home {
	return templates.Home{
		Now:        time.Now(),
		Visits:     v.Count,
		Rows:       v.ledger.rows,
		Earlier:    v.ledger.earlier,
		Instances:  v.ledger.instances,
		Restarts:   v.ledger.restarts,
		FirstVisit: v.CreatedAt,
		ExpiresIn:  v.ExpiresIn,
		New:        v.Created,
		ID:         sessions.Default(c).ID(),
		Router:     routerHeader(c.Request),
		RoundTrips: v.roundTrips,
		RedisTime:  v.redisTime,
	}
}

// routerHeader returns the header by which the platform's router shows itself, with its value masked; "" without one.
func routerHeader(r *http.Request) string {
	header, id := routerID(r)
	if id == "" {
		return ""
	}
	return header + ": " + backend.Mask(id)
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
