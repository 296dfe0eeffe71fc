package e2e

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// TestNoSecretIsToldWhateverGoesWrong makes everything go wrong that has a secret at hand, with all that can be logged.
// What was printed and answered is looked through when all tests have ended; that the look finds something is
// TestALeakIsFound.
func TestNoSecretIsToldWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	const password, wrong, secret = `p4ss+/=!&#%:@ wörd"\`, "wr0ng:p4ss@word", "a-secret-that-signs-the-cookies-of-this-test"
	for what, text := range map[string]string{"a password": password, "a wrong password": wrong, "SESSION_SECRET": secret} {
		everything.secret(what, text)
	}
	server := redistest.StartWith(t, redisserver.Options{Config: []string{`user visits on ">p4ss+/=!&#%:@ wörd\"\\" ~* +@all`}})
	secured := redistest.StartWith(t, redisserver.Options{TLS: redistest.NewCA(t).Issue(t)})
	address := func(scheme, user, password, host string) string {
		return "REDIS_URL=" + (&url.URL{Scheme: scheme, User: url.UserPassword(user, password), Host: host}).String()
	}
	for _, test := range []struct {
		name   string
		env    []string
		status int
		logged string
	}{
		{"right password", []string{address("redis", "visits", password, server.Addr())}, 200, "redis connected"},
		{"wrong password", []string{address("redis", "visits", wrong, server.Addr())}, 503, "redis lost"},
		{"nobody there", []string{address("redis", "visits", password, "127.0.0.1:1")}, 503, "redis lost"},
		{"no such host", []string{address("redis", "visits", password, "host.invalid:6379")}, 503, "redis lost"},
		{"plain text to TLS", []string{address("redis", "visits", password, secured.Addr())}, 503, "redis lost"},
		{"TLS to plain text", []string{address("rediss", "visits", password, server.Addr())}, 503, "redis lost"},
		{"an unknown CA", []string{address("rediss", "visits", password, secured.Addr())}, 503, "redis lost"},
		{"a socket that is not there", []string{"REDIS_URL=unix://visits:" + url.QueryEscape(password) + "@/nowhere/redis.sock"}, 503, "redis lost"},
		{"no Sentinel", []string{address("redis", "visits", password, "127.0.0.1:1") + "?master_name=visits"}, 503, "redis lost"},
		{"no Cluster", []string{address("redis", "visits", password, "127.0.0.1:1"), "REDIS_CLUSTER=true"}, 503, "redis lost"},
		{"a secret in Redis", []string{address("redis", "visits", password, server.Addr()), "SESSION_SECRET="}, 200, "redis connected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := start(t, append([]string{"LOG_LEVEL=debug", "SESSION_SECRET=" + secret}, test.env...)...)
			visitor := newBrowser(t)
			for _, accept := range []string{"text/html", "application/json"} {
				visitor.header.Set("Accept", accept)
				if answer := visitor.do(t, http.MethodGet, i.url+"/"); answer.status != test.status {
					t.Errorf("status %d, want %d", answer.status, test.status)
				}
			}
			visitor.do(t, http.MethodGet, i.url+"/readyz")
			visitor.do(t, http.MethodPost, i.url+"/reset")
			i.awaitLine(t, test.logged)
			if status, _ := i.end(t, syscall.SIGTERM); status != 0 {
				t.Errorf("ended with status %d", status)
			}
		})
	}
	t.Cleanup(func() { // when the subtests have ended
		shared, err := redistest.Client(t, server).Get(context.Background(), "visits:secret").Result()
		if err != nil {
			t.Error(err)
		}
		everything.secret("the shared secret", shared)
	})
}

func TestALeakIsFound(t *testing.T) {
	for _, leak := range []string{"p4ss word", "p4ss+word", "p4ss%20word", "abcdefghi", "signature", "WARNING: DATA RACE"} {
		var p printed
		if err := p.open(); err != nil {
			t.Fatal(err)
		}
		p.secret("a password", "p4ss word")
		p.cookie("abcdefghijkl.signature-and-more")
		if _, err := p.Write([]byte("a line\nbefore " + leak + " after\nabcdefgh… and signatur… are fine\n")); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err == nil || !strings.Contains(err.Error(), leak+" after") || strings.Contains(err.Error(), "a line") {
			t.Errorf("%q is not found: %v", leak, err)
		}
	}
}
