package templates_test

import (
	"bytes"
	"testing"
	"time"

	"visit-counter/static"
	"visit-counter/templates"
)

var now = time.Date(2026, 11, 21, 9, 21, 7, 0, time.UTC)

func settings() templates.Settings {
	return templates.Settings{
		Instance: "web.2", Started: now.Add(-3 * time.Minute), Store: templates.Redis,
		RedisSource: "REDIS_URL", RedisAddress: "127.0.0.1:6379", RedisCLI: "redis-cli",
		KeyPrefix: "visits:", CookieName: "session", TTL: 24 * time.Hour,
	}
}

func home() templates.Home {
	return templates.Home{
		Now: now, Visits: 12, Instances: 2, Restarts: 0, ID: "abcdefghijkl", ExpiresIn: 24 * time.Hour,
		FirstVisit: now.Add(-13 * time.Hour), RoundTrips: 1, RedisTime: 310 * time.Microsecond, RedisCommand: "EVALSHA",
		Rows: []templates.Row{
			{Instance: "web.1", Started: now.Add(-14 * time.Hour), Visits: 9},
			{Instance: "web.2", Started: now.Add(-3 * time.Minute), Visits: 3, Current: true},
		},
	}
}

func newPages(t testing.TB, s templates.Settings) *templates.Pages {
	t.Helper()
	files, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	p, err := templates.New(files, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFirst(t *testing.T) {
	var b bytes.Buffer
	if err := newPages(t, settings()).Home(&b, home()); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := newPages(t, settings()).Problem(&b, templates.NoRedis(templates.CloudFoundry, "x")); err != nil {
		t.Fatal(err)
	}
}
func BenchmarkHome(b *testing.B) {
	p := newPages(b, settings())
	h := home()
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := p.Home(&buf, h); err != nil {
			b.Fatal(err)
		}
	}
}
