package handlers

import (
	"encoding/json"
	"testing"
	"time"

	"visit-counter/redisstore"
	"visit-counter/templates"
)

// homeAnswer is the answer of GET / as a client in Go would declare it.
type homeAnswer struct {
	Visits           int64           `json:"visits"`
	Instance         string          `json:"instance"`
	StartedAt        time.Time       `json:"started_at"`
	Store            string          `json:"store"`
	FirstVisitAt     time.Time       `json:"first_visit_at"`
	ExpiresInSeconds int64           `json:"expires_in_seconds"`
	Processes        []processAnswer `json:"processes"`
	EarlierVisits    int64           `json:"earlier_visits"`
	Instances        int             `json:"instances"`
	Restarts         int             `json:"restarts"`
	Redis            struct {
		RoundTrips   int     `json:"round_trips"`
		Milliseconds float64 `json:"milliseconds"`
	} `json:"redis"`
}

type processAnswer struct {
	Instance  string    `json:"instance"`
	StartedAt time.Time `json:"started_at"`
	Visits    int64     `json:"visits"`
	Current   bool      `json:"current"`
}

func TestEncodingJSONWritesTheSameAnswer(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 18, 0, 120_000_000, time.UTC)
	names := []string{
		"", "web.1", "host:8080", "two words", `a "quoted" name`, `back\slash`, "<b>&amp;", "tab\t", "line\nbreak", "del\x7f",
		"é", "☃ snow", "\u2028", "\xff\xfe", "\x00",
	}
	for i, name := range names {
		app := &App{Instance: name, Started: start.In(time.FixedZone("CET", 3600)), StoreName: "redis"}
		v := visit{
			Result: redisstore.Result{
				Count: mostVisits - int64(i), CreatedAt: start.Add(time.Duration(i) * time.Hour).Local(),
				ExpiresIn: 24*time.Hour - time.Duration(i)*170*time.Millisecond,
			},
			ledger:     ledger{earlier: int64(i), instances: i + 1, restarts: 2 * i},
			roundTrips: i, redisTime: time.Duration(i*i) * 1234567,
		}
		want := homeAnswer{
			Visits: v.Count, Instance: name, StartedAt: app.Started, Store: "redis", FirstVisitAt: v.CreatedAt.UTC(),
			ExpiresInSeconds: int64(v.ExpiresIn.Round(time.Second).Seconds()), Processes: []processAnswer{},
			EarlierVisits: int64(i), Instances: i + 1, Restarts: 2 * i,
		}
		want.Redis.RoundTrips, want.Redis.Milliseconds = i, float64(v.redisTime.Microseconds())/1000
		for n, row := range names[:i] {
			v.ledger.rows = append(v.ledger.rows, templates.Row{Instance: row, Started: start, Visits: int64(n), Current: n%2 == 1})
			want.Processes = append(want.Processes, processAnswer{row, start, int64(n), n%2 == 1})
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(app.appendJSON(nil, v)); got != string(text) {
			t.Errorf("%q:\n%s\nencoding/json writes\n%s", name, got, text)
		}
	}
}
