package handlers

import (
	"time"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/config"
	"visit-counter/templates"
)

// wantsJSON reports whether a client prefers JSON to HTML. Clients that ask for neither get HTML.
func wantsJSON(c *gin.Context) bool {
	return c.NegotiateFormat(gin.MIMEHTML, gin.MIMEJSON) == gin.MIMEJSON
}

// homeAnswer is the answer of GET / as JSON. Clients depend on its names.
type homeAnswer struct {
	Visits           int64           `json:"visits"`
	Instance         string          `json:"instance"`   // the one that answers
	Started          time.Time       `json:"started_at"` // when its process did
	Store            config.Store    `json:"store"`      // "redis" or "memory"
	FirstVisit       time.Time       `json:"first_visit_at"`
	ExpiresInSeconds int64           `json:"expires_in_seconds"` // unless there is another visit
	Processes        []processAnswer `json:"processes"`          // by start; the visits of all, and the earlier ones, are the count
	EarlierVisits    int64           `json:"earlier_visits"`     // of processes that are too long ago for a row
	Instances        int             `json:"instances"`          // how many names the processes have
	Restarts         int             `json:"restarts"`           // how many processes had the name of an earlier one
	Redis            redisAnswer     `json:"redis"`
}

type processAnswer struct {
	Instance string    `json:"instance"`
	Started  time.Time `json:"started_at"`
	Visits   int64     `json:"visits"`
	Current  bool      `json:"current"` // true for the one that answers
}

// redisAnswer is what the visit cost.
type redisAnswer struct {
	RoundTrips   int     `json:"round_trips"`
	Milliseconds float64 `json:"milliseconds"`
}

// errorAnswer is the answer to a client that wants JSON where others get a problem page.
type errorAnswer struct {
	Error string `json:"error"`
	Hint  string `json:"hint"`
}

func (a *app) answerOf(v templates.Home) homeAnswer {
	answer := homeAnswer{
		Visits:           v.Visits,
		Instance:         a.pages.Instance,
		Started:          a.pages.Started,
		Store:            a.pages.Store,
		FirstVisit:       v.FirstVisit.UTC(),
		ExpiresInSeconds: int64(v.ExpiresIn.Round(time.Second) / time.Second),
		Processes:        make([]processAnswer, 0, len(v.Rows)),
		EarlierVisits:    v.Earlier,
		Instances:        v.Instances,
		Restarts:         v.Restarts,
		Redis:            redisAnswer{v.RoundTrips, float64(v.RedisTime.Microseconds()) / 1000},
	}
	for _, row := range v.Rows {
		answer.Processes = append(answer.Processes, processAnswer(row))
	}
	return answer
}
