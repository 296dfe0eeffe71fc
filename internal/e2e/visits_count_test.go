package e2e

import (
	"net/http"
	"strings"
	"testing"

	"visit-counter/internal/redistest"
)

func TestTwoThousandVisitsAreTwoThousand(t *testing.T) {
	t.Parallel()
	const visits, browsers = 2_000, 100
	server := redistest.Start(t)
	one := start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.1", "LOG_LEVEL=error", longTimeout)
	two := start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.2", "LOG_LEVEL=error", longTimeout)
	tally := newTally(t, one.url)
	tally.visit()
	elsewhere := tally.visitor.At(two.url)
	for range visits / browsers / 2 {
		tally.AtOnce(t.Context(), tally.visitor, browsers)
		tally.AtOnce(t.Context(), elsewhere, browsers)
	}
	tally.checkExact("2,000 visits to two instances")
}

func TestOnlyVisitsReachRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	i := start(t, "REDIS_URL="+proxy.URL(), "DEMO_CONTROLS=true")
	i.awaitRedis(t)
	before := proxy.Seen()
	_, link, _ := strings.Cut(i.get(t, "/nothing/here", "Accept", "text/html").Body, `rel="stylesheet" href="`)
	style, _, _ := strings.Cut(link, `"`)
	for _, request := range []struct {
		name, method, path string
		status             int
		headers            []string
	}{
		{"HEAD", "HEAD", "/", 200, nil},
		{"liveness", "GET", "/healthz", 200, nil},
		{"liveness, as many monitors ask", "HEAD", "/healthz", 200, nil},
		{"static file", "GET", style, 200, nil},
		{"plain static name", "GET", "/static/style.css", 404, nil},
		{"folder of static files", "GET", "/static/", 404, nil},
		{"unknown path", "GET", "/favicon.ico", 404, nil},
		{"another one", "GET", "/robots.txt", 404, nil},
		{"form for an unknown path", "POST", "/nothing", 404, nil},
		{"unknown path below a known one", "GET", "/healthz/", 404, nil},
		{"wrong method", "DELETE", "/", 405, nil},
		{"unknown method", "BREW", "/reset", 405, nil},
		{"prefetch", "GET", "/", 503, []string{"Sec-Purpose", "prefetch;prerender"}},
		{"old Chromium's prefetch", "GET", "/", 503, []string{"Purpose", "prefetch"}},
		{"Firefox's prefetch", "GET", "/", 503, []string{"X-Moz", "prefetch"}},
		{"Safari's preview", "GET", "/", 503, []string{"X-Purpose", "preview"}},
		{"an old preview", "GET", "/", 503, []string{"Purpose", "preview"}},
		{"another site's form", "POST", "/reset", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"a form without an origin", "POST", "/stop", 403, []string{"Origin", "null"}},
	} {
		t.Run(request.name, func(t *testing.T) {
			answer := i.request(t, request.method, request.path, request.headers...)
			if answer.Status != request.status {
				t.Errorf("status %d, want %d", answer.Status, request.status)
			}
			if cookie := answer.Header.Get("Set-Cookie"); cookie != "" {
				t.Errorf("a cookie is set: %s", cookie)
			}
			if wrong := answer.Status == http.StatusMethodNotAllowed; wrong != (answer.Header.Get("Allow") != "") {
				t.Errorf("status %d with the header Allow: %q", answer.Status, answer.Header.Get("Allow"))
			}
			if answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("security headers are missing: %v", answer.Header)
			}
		})
	}
	if got := proxy.Seen() - before; got != 0 {
		t.Errorf("Redis was asked %d times", got)
	}
	if keys := redistest.Client(t, server).Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("keys were made: %v", keys)
	}
}

func TestReturningVisitorCostsOneCommand(t *testing.T) {
	t.Parallel()
	const visits = 50
	proxy := redistest.NewProxy(t, redistest.Start(t))
	i := start(t, "REDIS_URL="+proxy.URL(), longTimeout, signingSecret) // a shared secret would be read now and then as well
	i.awaitRedis(t)                                                     // after the check at the start
	v := newVisitor(t, i.url)
	visit(t, v)
	before := proxy.Seen()
	for range visits {
		if got := visit(t, v).Redis.RoundTrips; got != 1 {
			t.Errorf("the answer says %d round trips", got)
		}
	}
	if got := proxy.Seen() - before; got != visits {
		t.Errorf("%d visits cost %d commands", visits, got)
	}
}
