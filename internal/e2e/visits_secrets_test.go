package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// TestNoSecretIsToldWhateverGoesWrong makes everything fail that handles a secret, with the most verbose log. As in every
// test, the answers and the output are searched for secrets: TestALeakIsFound proves that.
func TestNoSecretIsToldWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	const password, wrong, secret = `p4ss+/=!&#%:@ wörd"\`, "wr0ng:p4ss@word", "a-secret-that-signs-the-cookies-of-this-test"
	for what, text := range map[string]string{"a password": password, "a wrong password": wrong, "SESSION_SECRET": secret} {
		keepSecret(t, what, text)
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
		says   string // of Redis, to everybody
	}{
		{"right password", []string{address("redis", "visits", password, server.Addr())}, 200, "redis connected", ""},
		{"wrong password", []string{address("redis", "visits", wrong, server.Addr())}, 503, "redis lost", ""},
		{"nobody there", []string{address("redis", "visits", password, "127.0.0.1:1")}, 503, "redis lost", ""},
		{"no such host", []string{address("redis", "visits", password, "host.invalid:6379")}, 503, "redis lost", ""},
		{"plain text to TLS", []string{address("redis", "visits", password, secured.Addr())}, 503, "redis lost", ""},
		{"TLS to plain text", []string{address("rediss", "visits", password, server.Addr())}, 503, "redis lost", ""},
		{"an unknown CA", []string{address("rediss", "visits", password, secured.Addr()), longTimeout}, 503, "redis lost", "is not trusted"},
		{"a socket that is not there", []string{"REDIS_URL=unix://visits:" + url.QueryEscape(password) + "@/nowhere/redis.sock"}, 503, "redis lost", ""},
		{"no Sentinel", []string{address("redis", "visits", password, "127.0.0.1:1") + "?master_name=visits"}, 503, "redis lost", ""},
		{"no Cluster", []string{address("redis", "visits", password, "127.0.0.1:1"), "REDIS_CLUSTER=true"}, 503, "redis lost", ""},
		{"a secret in Redis", []string{address("redis", "visits", password, server.Addr()), "SESSION_SECRET="}, 200, "redis connected", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := start(t, append([]string{"LOG_LEVEL=debug", "SESSION_SECRET=" + secret}, test.env...)...)
			v := newVisitor(t, i.url)
			for _, accept := range []string{"text/html", "application/json"} {
				if answer := request(t, v, http.MethodGet, "/", "Accept", accept); answer.Status != test.status || !strings.Contains(answer.Body, test.says) {
					t.Errorf("status %d, want %d, and %q: %s", answer.Status, test.status, test.says, answer.Body)
				}
			}
			if shared := redistest.Client(t, server).Get(t.Context(), "visits:secret").Val(); shared != "" {
				keepSecret(t, "the shared secret", shared)
			}
			if ready := request(t, v, http.MethodGet, "/readyz"); ready.Status != test.status || !strings.Contains(ready.Body, test.says) {
				t.Errorf("/readyz: %d %s", ready.Status, ready.Body)
			}
			request(t, v, http.MethodPost, "/reset")
			i.awaitLog(t, test.logged, 1)
			i.stop(t)
		})
	}
}

const leakVariable = "LEAK"

// leak is a program that prints a secret.
func leak() int {
	fmt.Printf("a line\nbefore %s after\nabcdefgh… and signatur… are fine\n", os.Getenv(leakVariable))
	return 0
}

func TestALeakIsFound(t *testing.T) {
	t.Parallel()
	keepSecret(t, "a password", "p4ss word")
	cookie := &http.Cookie{Name: "session", Value: "abcdefghijkl.signature-and-more"}
	for _, text := range []string{"p4ss word", "p4ss+word", "p4ss%20word", "abcdefghi", "signature"} {
		answered := recorder{TB: t}
		search(&answered, "a page\nbefore "+text+" after\nabcdefgh… and signatur… are fine\n", cookie)
		answered.want(t, text)

		printed := recorder{TB: t}
		i := launch(&printed, command(t, []string{roleVariable + "=leak", leakVariable + "=" + text}, os.Args[0]))
		<-i.exited
		printed.end()
		printed.want(t, text)
	}
}

// race is a program with a data race.
func race() int {
	n := 0
	var wg sync.WaitGroup
	wg.Go(func() { n++ })
	n++
	wg.Wait()
	return n / 3
}

// recorder is a test that records failures, for tests that expect them.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Failed() bool     { return false } // nothing to be logged
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() {
	for _, cleanup := range r.cleanups {
		cleanup()
	}
}

// want fails the test unless the only error contains the line with this text.
func (r *recorder) want(t *testing.T, text string) {
	t.Helper()
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], "before "+text+" after") || strings.Contains(r.errors[0], "a line") {
		t.Errorf("%q: the errors are %q, want one with its line", text, r.errors)
	}
}
