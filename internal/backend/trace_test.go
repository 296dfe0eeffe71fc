package backend_test

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

const (
	sessionKey = "visits:session:k3Jd9aQwErTyUiOp12345678{abc}"
	shownKey   = "visits:session:k3Jd9a…"
)

// open opens the Redis at an address, with the given environment variables.
func open(t *testing.T, url string, env ...string) *backend.Backend {
	t.Helper()
	vars := map[string]string{"REDIS_URL": url}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	cfg, err := config.Load(func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	b, err := backend.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func wantSent(t *testing.T, sent *backend.Sent, roundTrips int, commands ...string) {
	t.Helper()
	if got := sent.RoundTrips(); got != roundTrips {
		t.Errorf("%d round trips, want %d", got, roundTrips)
	}
	if got := sent.Commands("visits", "two words"); !slices.Equal(got, commands) {
		t.Errorf("sent %q, want %q", got, commands)
	}
}

func TestWhatARequestSendsIsNotedAndMasked(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Password: "a-p4ssword-to-keep"})
	client := oneConnection(t, server, "5s")
	sha := echo.Hash()[:6] + "…"

	ctx, sent := backend.Trace(t.Context())
	wantSent(t, sent, 0)
	if sent.Elapsed() != 0 {
		t.Errorf("without a command, Elapsed = %v", sent.Elapsed())
	}
	client.Set(t.Context(), "other", "request", 0)
	client.Set(ctx, sessionKey, `{"secret":"value"}`, 0)
	client.Get(ctx, "visits:secret")
	echo.EvalSha(ctx, client, []string{sessionKey}, "visits", -3, "two words", "a secret", "12", "")
	wantSent(t, sent, 3,
		"SET "+shownKey+" …", "GET visits:…", "EVALSHA "+sha+" 1 "+shownKey+` visits -3 "two words" … 12 …`)

	ctx, sent = backend.Trace(t.Context())
	client.ScriptFlush(t.Context())
	echo.Run(ctx, client, []string{sessionKey}, "visits")
	wantSent(t, sent, 2, "EVALSHA "+sha+" 1 "+shownKey+" visits", "EVAL … 1 "+shownKey+" visits")

	ctx, sent = backend.Trace(t.Context())
	if _, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "visits:visits")
		p.Del(ctx, sessionKey)
		return nil
	}); err != nil {
		t.Error(err)
	}
	wantSent(t, sent, 1, "MULTI", "INCR visits:…", "DEL "+shownKey, "EXEC")
}

// The greeting of a connection contains the password, so it must not be shown. But the request waits for it.
func TestAGreetingIsNotShownButItsTimeCounts(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Password: "a-p4ssword-to-keep"})
	proxy := redistest.NewProxy(t, server)
	b := open(t, proxy.URL()+"/3")
	const delay = 20 * time.Millisecond
	proxy.All(redistest.Any, redistest.Fate{Delay: delay})
	ctx, sent := backend.Trace(t.Context())
	b.Client.Incr(ctx, "visits:visits")
	wantSent(t, sent, 1, "INCR visits:…")
	if got := sent.Elapsed(); got < 2*delay {
		t.Errorf("Elapsed = %v, want the greeting's %v included", got, delay)
	}
}

func TestOnlySentCommandsAreRoundTripsAndRepeatsCountToo(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	client := oneConnection(t, proxy, "5s")
	limited, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	proxy.Next(1, redistest.Named("incr"), redistest.Fate{Cut: true})
	ctx, sent := backend.Trace(limited)
	client.Incr(ctx, "visits:visits")
	wantSent(t, sent, 2, "INCR visits:…", "INCR visits:…")

	server.Kill()
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ctx, sent = backend.Trace(brief)
	if err := open(t, server.URL()).Client.Incr(ctx, "visits:visits").Err(); err == nil {
		t.Error("a killed Redis answers")
	}
	wantSent(t, sent, 0)
}

func TestAScriptInABatchIsNotedForItsOwnRequest(t *testing.T) {
	const n = 50
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	client := oneConnection(t, proxy, "5s")
	const delay = 20 * time.Millisecond
	proxy.All(redistest.Any, redistest.Fate{Delay: delay})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			ctx, sent := backend.Trace(t.Context())
			echo.EvalSha(ctx, client, []string{calls}, i)
			wantSent(t, sent, 1, "EVALSHA "+echo.Hash()[:6]+"… 1 "+backend.Mask(calls)+" "+strconv.Itoa(i))
			if got := sent.Elapsed(); got < delay {
				t.Errorf("Elapsed = %v, want at least %v", got, delay)
			}
		})
	}
	all.Wait()
	if got := proxy.Seen("evalsha"); got != n {
		t.Errorf("%d scripts were sent, want %d", got, n)
	}
}

func TestARedirectionInAClusterIsARoundTrip(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	b := open(t, cluster.URL())
	if err := b.Client.Set(t.Context(), sessionKey, "x", 0).Err(); err != nil { // from here on the client knows the nodes
		t.Fatal(err)
	}
	cluster.Migrate(sessionKey).MoveKeys()
	ctx, sent := backend.Trace(t.Context())
	b.Client.Get(ctx, sessionKey)
	wantSent(t, sent, 2, "GET "+shownKey, "ASKING", "GET "+shownKey)
}

func TestWhatIsSentToAnEmbeddedRedisIsNotedToo(t *testing.T) {
	b, err := backend.Open(t.Context(), config.Config{Store: config.StoreMemory}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, sent := backend.Trace(t.Context())
	b.Client.Get(ctx, sessionKey)
	wantSent(t, sent, 1, "GET "+shownKey)
}

func TestMask(t *testing.T) {
	for secret, want := range map[string]string{
		"": "…", "abcdefghijkl": "…", "abcdefghijklm": "abcdef…", "aééééééé": "aéé…", "ab\xffdefghijklm": "abdef…",
	} {
		if got := backend.Mask(secret); got != want {
			t.Errorf("Mask(%q) = %q, want %q", secret, got, want)
		}
	}
}
