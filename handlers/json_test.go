package handlers

import (
	"encoding/json"
	"testing"
	"time"

	"visit-counter/internal/config"
	"visit-counter/templates"
)

func TestTheFieldNamesOfTheJSONStay(t *testing.T) {
	started := time.Date(2026, 11, 21, 9, 18, 0, 120_000_000, time.UTC)
	pages, err := templates.New(templates.Settings{Instance: "<web.2>", Started: started, Store: config.StoreRedis})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{pages: pages}
	v := templates.Home{
		Visits: 14, FirstVisit: started.Add(-time.Hour).In(time.FixedZone("CET", 3600)), ExpiresIn: 24*time.Hour - time.Millisecond,
		Rows: []templates.Row{
			{Instance: "web.1", Started: started.Add(-time.Hour), Visits: 9},
			{Instance: "<web.2>", Started: started, Visits: 3, Current: true},
		},
		Earlier: 2, Instances: 2, Restarts: 1, RoundTrips: 1, RedisTime: 312_900 * time.Nanosecond,
	}
	got, err := json.Marshal(a.answerOf(v))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"visits":14,"instance":"\u003cweb.2\u003e","started_at":"2026-11-21T09:18:00.12Z","store":"redis",` +
		`"first_visit_at":"2026-11-21T08:18:00.12Z","expires_in_seconds":86400,"processes":[` +
		`{"instance":"web.1","started_at":"2026-11-21T08:18:00.12Z","visits":9,"current":false},` +
		`{"instance":"\u003cweb.2\u003e","started_at":"2026-11-21T09:18:00.12Z","visits":3,"current":true}],` +
		`"earlier_visits":2,"instances":2,"restarts":1,"redis":{"round_trips":1,"milliseconds":0.312}}`
	if string(got) != want {
		t.Errorf("the answer is\n%s\nwant\n%s", got, want)
	}
	v.Rows = nil
	if got := a.answerOf(v).Processes; got == nil {
		t.Error("without rows, processes is null, want an empty list")
	}
}
