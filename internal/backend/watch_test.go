package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/config"
	"visit-counter/internal/proctest"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// logOutput collects the log of an app.
type logOutput struct{ proctest.Output }

type line struct {
	Msg      string
	Err      string
	Hint     string
	After    string
	Failures int
}

func (l *logOutput) lines(t *testing.T) (lines []line) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		var one line
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, one)
	}
	return lines
}

func (l *logOutput) messages(t *testing.T) string {
	var messages []string
	for _, one := range l.lines(t) {
		messages = append(messages, one.Msg)
	}
	return strings.Join(messages, ", ")
}

func TestEachChangeIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logOutput
		var away atomic.Bool
		var checks atomic.Int64
		refused := errors.New("connection refused")
		check := func(context.Context) error {
			checks.Add(1)
			if away.Load() {
				return refused
			}
			return nil
		}
		w := newWatcher(time.Second, slog.New(slog.NewJSONHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		go w.run(ctx, check)
		expect := func(when, messages string) {
			t.Helper()
			synctest.Wait()
			if got := log.messages(t); got != messages {
				t.Errorf("%s the log says %q, want %q", when, got, messages)
			}
		}
		expect("at the start", "redis connected")
		for range 100 {
			w.observe(errors.New("one bad moment"))
		}
		expect("after errors while Redis is up", "redis connected")
		before := checks.Load()
		<-time.After(time.Hour)
		if n := checks.Load() - before; n != 0 {
			t.Errorf("%d needless checks while Redis was up", n)
		}

		away.Store(true)
		for range 1000 {
			w.observe(refused)
		}
		expect("when Redis is away", "redis connected, redis lost")
		<-time.After(10*time.Second - checkEvery/2)
		expect("while it stays away", "redis connected, redis lost")
		away.Store(false)
		<-time.After(checkEvery)
		expect("when it comes back", "redis connected, redis lost, redis back")
		back := log.lines(t)[2]
		if back.After != "10s" || back.Failures != 1000 {
			t.Errorf("away for %v with %d failures, want 10s and 1000", back.After, back.Failures)
		}

		away.Store(true)
		w.observe(refused)
		expect("when it is away again", "redis connected, redis lost, redis back, redis lost")
		away.Store(false)
		<-time.After(checkEvery)
		expect("when it is back again", "redis connected, redis lost, redis back, redis lost, redis back")
		if again := log.lines(t)[4]; again.After != checkEvery.String() || again.Failures != 1 {
			t.Errorf("away for %v with %d failures, want %v and 1", again.After, again.Failures, checkEvery)
		}
		stop()
	})
}

// reply is an error reply of Redis.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestAnAnswerOfRedisCausesNoCheck(t *testing.T) {
	w := newWatcher(0, nil)
	for _, err := range []error{
		nil, redis.Nil, context.Canceled, fmt.Errorf("get: %w", redis.Nil),
		reply("NOSCRIPT No matching script. Please use EVAL."), // the reply of a restarted Redis
	} {
		w.observe(err)
		if len(w.doubt) > 0 || w.failures.Load() > 0 {
			t.Errorf("%v counts as a failure", err)
		}
	}
}

func TestAnOutageOfARealRedisIsLoggedOnce(t *testing.T) {
	const password = "a-p4ssword-to-keep"
	server := redistest.StartWith(t, redisserver.Options{Password: password})
	cfg, err := config.Load(func(name string) string {
		return map[string]string{"REDIS_URL": server.URL(), "REDIS_TIMEOUT": "2s"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	var log logOutput
	b, err := Open(t.Context(), cfg, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Watch(func(ctx context.Context) error { return b.Client.Set(ctx, "checked", "", 0).Err() })
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), cfg.RedisTimeout)
		defer cancel()
		return b.Client.Get(ctx, "x").Err()
	}
	says := func(messages string) func() bool { return func() bool { return log.messages(t) == messages } }
	redistest.Wait(t, "redis connected", says("redis connected"))
	began := time.Now()
	server.Kill()
	var requests sync.WaitGroup
	for range 25 {
		requests.Go(func() {
			if err := ask(); err == nil || errors.Is(err, redis.Nil) {
				t.Error("a killed Redis answers")
			}
		})
	}
	requests.Wait()
	redistest.Wait(t, "redis lost", says("redis connected, redis lost"))
	redistest.Restart(t, server)
	redistest.Wait(t, "redis back", says("redis connected, redis lost, redis back"))
	back := log.lines(t)[2]
	away, err := time.ParseDuration(back.After)
	if err != nil || away <= 0 || away > time.Since(began) || back.Failures < 25 {
		t.Errorf("away for %v with %d failures, want at most %v and at least 25", back.After, back.Failures, time.Since(began))
	}
	if err := ask(); !errors.Is(err, redis.Nil) {
		t.Error(err)
	}
	if strings.Contains(log.String(), password) {
		t.Error("the password is in the log")
	}
}
