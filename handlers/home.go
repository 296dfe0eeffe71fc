package handlers

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/redisstore"
	"visit-counter/templates"
)

// The fields of the session. Together with the ledger's rows, they are all that is kept of a visitor.
const (
	visitsField         = "visits"
	earlierField        = "earlier"           // visits of the processes that have no row any more
	earlierProcessField = "earlier_processes" // how many those are
)

// mostRows is how many processes keep a row of their own in the ledger.
const mostRows = 32

// home counts one visit and shows it.
func (a *App) home() gin.HandlerFunc {
	row := rowName(a.Started, a.Instance)
	steps := []redisstore.Step{
		redisstore.And(row, 1),
		redisstore.Fold(rowPrefix, mostRows, earlierField, earlierProcessField),
	}
	buffers := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	return func(c *gin.Context) {
		if a.Missing != nil {
			a.problem(c, templates.NoRedis(a.Missing.Platform, a.Missing.AppName))
			return
		}
		v, err := a.count(c, row, steps)
		if err != nil {
			a.fail(c, err)
			return
		}
		c.Header("Vary", "Accept")
		if prefersJSON(c.Request) {
			c.JSON(http.StatusOK, a.homeJSON(v))
			return
		}
		page := buffers.Get().(*bytes.Buffer)
		defer buffers.Put(page)
		page.Reset()
		if err := a.Pages.Home(page, a.homePage(c, v)); err != nil {
			a.fail(c, err)
			return
		}
		document(c, http.StatusOK, page.Bytes())
	}
}

// visit is one counted visit.
type visit struct {
	redisstore.Result
	ledger ledger
}

// count counts one visit, in one round trip. A session that is damaged is left aside, and the visitor gets a new one.
func (a *App) count(c *gin.Context, row string, steps []redisstore.Step) (visit, error) {
	v, err := countOnce(c, row, steps)
	if damaged(err) {
		a.Log.LogAttrs(c.Request.Context(), slog.LevelError, "damaged session set aside", slog.Any("err", err))
		if err := redisstore.Abandon(c); err != nil {
			return visit{}, err
		}
		return countOnce(c, row, steps)
	}
	return v, err
}

// damaged reports whether an error is about what lies under the session's key: it would come back at each visit.
func damaged(err error) bool {
	return errors.Is(err, redisstore.ErrCorrupt) || errors.Is(err, redisstore.ErrOverflow) || errors.Is(err, redisstore.ErrTooLarge)
}

func countOnce(c *gin.Context, row string, steps []redisstore.Step) (visit, error) {
	result, err := redisstore.Increment(c, visitsField, 1, steps...)
	if err != nil {
		return visit{}, err
	}
	l, err := newLedger(result, row)
	return visit{result, l}, err
}

// homePage is what the page shows of a visit.
func (a *App) homePage(c *gin.Context, v visit) templates.Home {
	return templates.Home{
		Now:          time.Now(),
		Visits:       v.Count,
		Rows:         v.ledger.rows,
		Earlier:      v.ledger.earlier,
		Instances:    v.ledger.instances,
		Restarts:     v.ledger.restarts,
		FirstVisit:   v.CreatedAt,
		ExpiresIn:    v.ExpiresIn,
		New:          v.Created,
		ID:           sessions.Default(c).ID(),
		Router:       routerHeader(c.Request),
		RedisCommand: v.Command(),
		RoundTrips:   v.RoundTrips,
		RedisTime:    v.Elapsed,
	}
}

// routerHeader returns the header by which the platform's router shows itself, with its value masked; "" without one.
func routerHeader(r *http.Request) string {
	header, id := routerID(r)
	if id == "" {
		return ""
	}
	return header + ": " + redisstore.Mask(id)
}

// homeAnswer is the answer of GET / to a client that prefers JSON.
type homeAnswer struct {
	Visits           int64           `json:"visits"`
	Instance         string          `json:"instance"`
	StartedAt        string          `json:"started_at"` // times are written by stamp: encoding/json's own way costs thrice
	Store            string          `json:"store"`
	FirstVisitAt     string          `json:"first_visit_at"`
	ExpiresInSeconds int64           `json:"expires_in_seconds"`
	Processes        []processAnswer `json:"processes"`
	EarlierVisits    int64           `json:"earlier_visits"`
	Instances        int             `json:"instances"`
	Restarts         int             `json:"restarts"`
	Redis            redisAnswer     `json:"redis"`
}

type processAnswer struct {
	Instance  string `json:"instance"`
	StartedAt string `json:"started_at"`
	Visits    int64  `json:"visits"`
	Current   bool   `json:"current"`
}

// stamp writes a time as encoding/json does.
func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

type redisAnswer struct {
	RoundTrips   int     `json:"round_trips"`
	Milliseconds float64 `json:"milliseconds"`
}

func (a *App) homeJSON(v visit) homeAnswer {
	processes := make([]processAnswer, len(v.ledger.rows))
	for i, row := range v.ledger.rows {
		processes[i] = processAnswer{row.Instance, stamp(row.Started), row.Visits, row.Current}
	}
	return homeAnswer{
		Visits:           v.Count,
		Instance:         a.Instance,
		StartedAt:        stamp(a.Started),
		Store:            a.StoreName,
		FirstVisitAt:     stamp(v.CreatedAt.UTC()),
		ExpiresInSeconds: int64((v.ExpiresIn + time.Second/2) / time.Second),
		Processes:        processes,
		EarlierVisits:    v.ledger.earlier,
		Instances:        v.ledger.instances,
		Restarts:         v.ledger.restarts,
		Redis:            redisAnswer{v.RoundTrips, float64(v.Elapsed.Microseconds()) / 1000},
	}
}

// homeHead answers HEAD /, which is not a visit.
func (a *App) homeHead() gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Vary", "Accept")
		contentType := jsonType
		if !prefersJSON(c.Request) {
			contentType = htmlType
			isolate(c)
		}
		c.Header("Content-Type", contentType)
		c.Status(http.StatusOK)
	}
}
