package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
	"visit-counter/redisstore"
)

const signingSecret = "SESSION_SECRET=a-secret-that-signs-the-cookies-of-this-test"

// explanation is the answer to a client that prefers JSON during a fault.
type explanation struct{ Error, Hint string }

func explanationIn(t *testing.T, answer visitor.Answer) (e explanation) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer.Body), &e); err != nil {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	return e
}

// /readyz, the log and a visitor's page all report the same fault. These are the faults that [outages] lacks;
// internal/storetest proves for more of them that a check fails as a visit does.
func TestAVisitReadyzAndTheLogAgree(t *testing.T) {
	t.Parallel()
	const password = "p4ss-of-the-user"
	rights := strings.ReplaceAll(redisstore.Rights, redisstore.DefaultPrefix, "visits:")
	writes := redistest.Named("EVALSHA", "EVAL", "SET", "DEL")
	for name, test := range map[string]struct {
		config []string        // of the server
		rules  string          // of the app's user, on top of those that it needs
		match  redistest.Match // what the proxy answers
		answer string
		env    string
		says   string // "": visits are counted
	}{
		"all is well":                      {},
		"EVALSHA is renamed":               {config: []string{`rename-command EVALSHA ""`}, says: "does not know a command"},
		"SET is renamed, and not needed":   {config: []string{`rename-command SET ""`}, env: signingSecret},
		"DEL is renamed, and not needed":   {config: []string{`rename-command DEL ""`}},
		"the user has other keys":          {rules: "resetkeys ~other:*", says: "NOPERM"},
		"no disk":                          {match: writes, answer: "-MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", says: "MISCONF"},
		"protected mode":                   {match: redistest.Any, answer: "-DENIED Redis is running in protected mode", says: "protected mode"},
		"another password than Redis 5's":  {match: redistest.Named("HELLO", "AUTH"), answer: "-ERR invalid password", says: "WRONGPASS"},
		"a password for a Redis 5 without": {match: redistest.Named("HELLO", "AUTH"), answer: "-ERR Client sent AUTH, but no password is set", says: "sends a password"},
		"an unknown answer":                {match: writes, answer: "-WEIRD and foreign", says: "(WEIRD)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keepSecret(t, "a password", password)
			server := redistest.StartWith(t, redisserver.Options{Config: append(test.config,
				"user visits on >"+password+" "+rights+" "+test.rules)})
			proxy := redistest.NewProxy(t, server)
			if test.match != nil {
				proxy.All(test.match, redistest.Fate{Answer: test.answer})
			}
			i := start(t, "REDIS_URL=redis://visits:"+password+"@"+proxy.Addr(), "LOG_LEVEL=debug", longTimeout, test.env)
			agree(t, i, test.says)
			if test.says == "" {
				return
			}
			i.awaitLog(t, "redis lost", 1)
			if i.output.count("redis connected") > 0 {
				t.Errorf("the log says that Redis is connected:\n%s", i.output.String())
			}
		})
	}
}

// agree checks that a visit and /readyz report the same fault, or both report none.
func agree(t *testing.T, i *instance, says string) {
	t.Helper()
	visited := request(t, newVisitor(t, i.url), http.MethodGet, "/", "Accept", "application/json")
	ready := i.get(t, "/readyz", "Accept", "application/json")
	if head := i.request(t, http.MethodHead, "/readyz"); head.Status != ready.Status { // which many monitors send
		t.Errorf("/readyz answers %d, but %d to HEAD", ready.Status, head.Status)
	}
	if says == "" {
		if visited.Status != http.StatusOK || ready.Status != http.StatusOK {
			t.Errorf("a visit is %d, /readyz %d: %s", visited.Status, ready.Status, ready.Body)
		}
		return
	}
	wantRefusal(t, visited)
	wantRefusal(t, ready)
	v, r := explanationIn(t, visited), explanationIn(t, ready)
	if v != r || !strings.Contains(v.Error, says) || v.Hint == "" {
		t.Errorf("a visit says %+v, /readyz %+v; want %q", v, r, says)
	}
}

// Only four visits of a session ask Redis at once. Those that wait behind them have not asked it themselves.
func TestEachOfManyVisitsAtOnceSaysWhatRedisAnswers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL(), signingSecret, longTimeout)
	v := newVisitor(t, i.url)
	visit(t, v)
	redistest.Do(t, redistest.Client(t, server), "REPLICAOF 127.0.0.1 1")
	var visits sync.WaitGroup
	for range 80 {
		visits.Go(func() {
			answer, err := v.Request(t.Context(), http.MethodGet, "/", "Accept", "application/json")
			if err != nil || !strings.Contains(string(answer.Body), "(READONLY)") {
				t.Errorf("a visit: %v, %s", err, answer.Body)
			}
		})
	}
	visits.Wait()
}

// An answer of Redis may repeat everything that it was sent, and more.
func TestNothingThatRedisSaysIsTold(t *testing.T) {
	t.Parallel()
	const password, known = "p4ss-that-redis-repeats", "a-secret-that-signs-and-that-redis-repeats"
	keepSecret(t, "a password", password)
	keepSecret(t, "SESSION_SECRET", known)
	server := redistest.StartWith(t, redisserver.Options{Password: password})
	for _, form := range []string{
		"-ERR unknown command '%s', with args beginning with: %s", "-NOPERM this user may not %s %s", "-WRONGPASS %s %s", "-MISCONF %s %s",
		"-OOM %s %s", "-READONLY %s %s", "-BUSY %s %s", "-LOADING %s %s", "-WEIRD %s %s", "-%s %s", "-WRONGTYPE %s %s", "-NOSCRIPT %s %s",
		"-MOVED 1 %s %s", "-ERR value %s %s", "HTTP/1.1 400 %s %s", "%s %s", "+%s %s", "*1\r\n+%s %s", ":%s %s",
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			proxy := redistest.NewProxy(t, server)
			i := start(t, "REDIS_URL="+proxy.URL(), "LOG_LEVEL=debug", "REDIS_TIMEOUT=300ms")
			v := newVisitor(t, i.url)
			redistest.Wait(t, "a session", func() bool { return request(t, v, http.MethodGet, "/").Status == http.StatusOK })
			shared := redistest.Client(t, server).Get(t.Context(), "visits:secret").Val()
			keepSecret(t, "the shared secret", shared)
			repeated := strings.Join([]string{sessionKey(v), sessionCookie(v), shared, password, known}, " ")
			for _, names := range [][]string{{"EVALSHA", "EVAL"}, {"SET", "GET"}, {"DEL"}, {"HGETALL"}, {"HELLO", "AUTH"}} {
				proxy.All(redistest.Named(names...), redistest.Fate{Answer: fmt.Sprintf(form, names[0], repeated)})
				proxy.Cut()
				for _, accept := range []string{"text/html", "application/json"} {
					request(t, v, http.MethodGet, "/", "Accept", accept)
					i.get(t, "/", "Accept", accept)
					i.get(t, "/", "Accept", accept, "Cookie", "session=forged.cookie")
					i.get(t, "/readyz")
					request(t, v, http.MethodPost, "/reset", "Accept", accept)
				}
				doctor := command(t, []string{roleVariable + "=program", "REDIS_URL=" + proxy.URL(), "REDIS_TIMEOUT=300ms"}, os.Args[0], "doctor")
				<-launch(t, doctor).exited
				proxy.Heal()
			}
			i.stop(t)
		})
	}
}
