package e2e

import (
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"visit-counter/internal/redistest"
)

func TestCountGoesOnOverInstancesAndRestarts(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.1")
	two := start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.2")
	visitor := newBrowser(t)
	visitor.count(t, 1, 6, one, two)
	for _, i := range []*instance{one, two} {
		if status, _ := i.end(t, syscall.SIGTERM); status != 0 {
			t.Errorf("SIGTERM ended the instance with status %d, want 0", status)
		}
	}
	one, two = one.restart(t), two.restart(t)
	visitor.count(t, 7, 9, one, two)
	if got := visitor.visit(t, one.url); got.Visits != 10 || len(got.Processes) != 4 {
		t.Errorf("visit 10 says %d; 2 instances started twice are %d rows, want 4", got.Visits, len(got.Processes))
	}
}

func TestTenThousandVisitsAreTenThousand(t *testing.T) {
	const visits, connections = 10_000, 64
	server := redistest.Start(t)
	instances := []*instance{
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.1", "LOG_LEVEL=error"),
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.2", "LOG_LEVEL=error"),
	}
	visitor := newBrowser(t)
	visitor.visit(t, instances[0].url)
	var (
		mu   sync.Mutex
		seen = map[int]bool{1: true}
		wg   sync.WaitGroup
		jobs = make(chan int)
	)
	for range connections {
		wg.Go(func() {
			for n := range jobs {
				v, answer, ok := visitor.tryVisit(t, instances[n%2].url)
				mu.Lock()
				switch {
				case !ok:
					t.Errorf("visit %d was answered with %d", n, answer.status)
				case seen[v.Visits]:
					t.Errorf("two visits are number %d", v.Visits)
				}
				seen[v.Visits] = true
				mu.Unlock()
			}
		})
	}
	for n := range visits - 2 {
		jobs <- n
	}
	close(jobs)
	wg.Wait()
	if got := visitor.visit(t, instances[1].url).Visits; got != visits {
		t.Errorf("after %d visits the count is %d", visits, got)
	}
}

func TestOnlyVisitsReachRedis(t *testing.T) {
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL(), "DEMO_CONTROLS=true")
	rdb := redistest.Client(t, server)
	i.awaitLine(t, "redis connected")
	before := rdb.Info(t.Context(), "commandstats").Val()
	page := newBrowser(t).do(t, http.MethodGet, i.url+"/nothing/here").body
	_, link, _ := strings.Cut(page, `rel="stylesheet" href="`)
	style, _, _ := strings.Cut(link, `"`)
	for _, request := range []struct {
		name, method, path string
		status             int
		header             [2]string
	}{
		{"HEAD", "HEAD", "/", 200, [2]string{}},
		{"liveness", "GET", "/healthz", 200, [2]string{}},
		{"static file", "GET", style, 200, [2]string{}},
		{"plain static name", "GET", "/static/style.css", 404, [2]string{}},
		{"unknown path", "GET", "/favicon.ico", 404, [2]string{}},
		{"unknown path below a known one", "GET", "/healthz/", 404, [2]string{}},
		{"wrong method", "DELETE", "/", 405, [2]string{}},
		{"unknown method", "BREW", "/reset", 405, [2]string{}},
		{"prefetch", "GET", "/", 503, [2]string{"Sec-Purpose", "prefetch;prerender"}},
		{"old Chromium's prefetch", "GET", "/", 503, [2]string{"Purpose", "prefetch"}},
		{"Firefox's prefetch", "GET", "/", 503, [2]string{"X-Moz", "prefetch"}},
		{"another site's form", "POST", "/reset", 403, [2]string{"Sec-Fetch-Site", "cross-site"}},
		{"a sibling site's form", "POST", "/reset", 403, [2]string{"Sec-Fetch-Site", "same-site"}},
		{"a form without an origin", "POST", "/stop", 403, [2]string{"Origin", "null"}},
	} {
		t.Run(request.name, func(t *testing.T) {
			visitor := newBrowser(t)
			if request.header[0] != "" {
				visitor.header.Set(request.header[0], request.header[1])
			}
			answer := visitor.do(t, request.method, i.url+request.path)
			if answer.status != request.status {
				t.Errorf("status %d, want %d", answer.status, request.status)
			}
			if cookie := answer.header.Get("Set-Cookie"); cookie != "" {
				t.Errorf("a cookie is set: %s", cookie)
			}
			if wrong := answer.status == http.StatusMethodNotAllowed; wrong != (answer.header.Get("Allow") != "") {
				t.Errorf("status %d with the header Allow: %q", answer.status, answer.header.Get("Allow"))
			}
			if answer.header.Get("X-Content-Type-Options") != "nosniff" || answer.header.Get("Content-Security-Policy") == "" {
				t.Errorf("security headers are missing: %v", answer.header)
			}
		})
	}
	after := rdb.Info(t.Context(), "commandstats").Val()
	for _, name := range []string{"evalsha", "eval", "hgetall", "get", "setnx", "set", "del"} {
		if calls(before, name) != calls(after, name) {
			t.Errorf("Redis was asked: %s was called %d times, before %d", name, calls(after, name), calls(before, name))
		}
	}
	if keys := rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("keys were made: %v", keys)
	}
}

func TestReturningVisitorCostsOneCommand(t *testing.T) {
	const visits = 50
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.visit(t, i.url)
	rdb := redistest.Client(t, server)
	rdb.ConfigResetStat(t.Context())
	for range visits {
		if got := visitor.visit(t, i.url).Redis.RoundTrips; got != 1 {
			t.Errorf("the answer says %d round trips", got)
		}
	}
	stats := rdb.Info(t.Context(), "commandstats").Val()
	// What the script itself calls is in the statistics too.
	inside := map[string]bool{"hgetall": true, "time": true, "hset": true, "hdel": true, "pexpire": true}
	for line := range strings.Lines(stats) {
		name, _, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if !ok || !strings.HasPrefix(line, "cmdstat_") || inside[name] || strings.HasPrefix(name, "config") || name == "info" ||
			name == "evalsha" {
			continue
		}
		t.Errorf("another command was sent: %s", line)
	}
	if got := calls(stats, "evalsha"); got != visits {
		t.Errorf("%d visits cost %d commands", visits, got)
	}
}
