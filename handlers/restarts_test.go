package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"visit-counter/handlers"
	"visit-counter/internal/config"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// process returns the app as a process with that name and start time would run it.
func process(t *testing.T, rdb redis.UniversalClient, name string, started time.Time) http.Handler {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	store, err := redisstore.New(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := templates.New(templates.Settings{
		Instance: name, Started: started, Store: config.StoreRedis, KeyPrefix: "visits:", CookieName: "session",
	})
	if err != nil {
		t.Fatal(err)
	}
	return handlers.New(slog.New(slog.DiscardHandler), pages, store, handlers.Options{
		Check: func(context.Context) error { return nil }, Timeout: time.Second, Draining: func() bool { return false },
	})
}

// visitor is a browser that goes from one process to the next.
type visitor struct {
	t      *testing.T
	cookie string
}

func (v *visitor) get(process http.Handler, accept string) string {
	v.t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Accept", accept)
	if v.cookie != "" {
		request.Header.Set("Cookie", v.cookie)
	}
	answer := httptest.NewRecorder()
	process.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		v.t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	v.cookie, _, _ = strings.Cut(answer.Header().Get("Set-Cookie"), ";")
	id, _, ok := strings.Cut(strings.TrimPrefix(v.cookie, "session="), ".")
	if !ok {
		v.t.Fatal("the answer sets no cookie")
	}
	if strings.Contains(answer.Body.String(), id[:9]) {
		v.t.Errorf("the answer contains 9 characters of the session's id: %s", answer.Body)
	}
	return answer.Body.String()
}

func TestTheLedgerAddsUpOverFortyRestarts(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	v := visitor{t: t}
	began := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	const restarts, instances, visitsEach = 40, 4, 3
	for n := range instances + restarts {
		name := fmt.Sprintf("web.%d", n%instances+1)
		routes := process(t, rdb, name, began.Add(time.Duration(n)*time.Minute))
		for range visitsEach - 1 {
			v.get(routes, "text/html")
		}
		var answer struct {
			Visits        int `json:"visits"`
			EarlierVisits int `json:"earlier_visits"`
			Instances     int `json:"instances"`
			Restarts      int `json:"restarts"`
			Processes     []struct {
				Instance string `json:"instance"`
				Visits   int    `json:"visits"`
				Current  bool   `json:"current"`
			} `json:"processes"`
		}
		if err := json.Unmarshal([]byte(v.get(routes, "application/json")), &answer); err != nil {
			t.Fatal(err)
		}
		sum := answer.EarlierVisits
		for _, row := range answer.Processes {
			sum += row.Visits
		}
		rows := min(n+1, 32)
		if last := answer.Processes[len(answer.Processes)-1]; !last.Current || last.Instance != name || last.Visits != visitsEach {
			t.Errorf("process %d: the last row is %+v", n, last)
		}
		if answer.Visits != visitsEach*(n+1) || sum != answer.Visits || len(answer.Processes) != rows {
			t.Errorf("process %d: %d visits, %d in the ledger, %d rows", n, answer.Visits, sum, len(answer.Processes))
		}
		if want := min(n+1, instances); answer.Instances != want || answer.Restarts != n+1-want {
			t.Errorf("process %d: %d instances and %d restarts", n, answer.Instances, answer.Restarts)
		}
	}
	page := v.get(process(t, rdb, "web.5", began.Add(time.Hour)), "text/html")
	if rows := strings.Count(page, `<th scope="row">`); rows != 32+1 || !strings.Contains(page, `<th scope="row">earlier</th>`) {
		t.Errorf("the page has %d rows, want 32 and one for earlier visits", rows)
	}
	if want := "5 instances and 40 restarts later, no visit has been lost"; !strings.Contains(page, want) {
		t.Errorf("the page does not say %q", want)
	}
}
