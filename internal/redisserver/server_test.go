package redisserver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// start runs a server until the end of the test.
func start(t *testing.T, opts redisserver.Options) *redisserver.Server {
	t.Helper()
	s, err := redisserver.Start(deadline(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// deadline returns a context that is long enough for any step of a test on a busy machine.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func client(t *testing.T, s *redisserver.Server) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries = -1
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDataSurvivesKillAndRestartWithTheAppendOnlyFile(t *testing.T) {
	s := start(t, redisserver.Options{AppendOnly: true})
	c, ctx, addr := client(t, s), deadline(t), s.Addr()
	must(t, c.Set(ctx, "k", "v", 0).Err())
	s.Kill()
	if s.Running() {
		t.Error("Running() = true after Kill")
	}
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("a killed server answers")
	}
	must(t, s.Restart(ctx))
	if s.Addr() != addr {
		t.Errorf("address after restart = %s, want %s", s.Addr(), addr)
	}
	if got := c.Get(ctx, "k").Val(); got != "v" {
		t.Errorf("value after restart = %q, want %q", got, "v")
	}
}

func TestServerWithoutAppendOnlyFileRestartsEmpty(t *testing.T) {
	s := start(t, redisserver.Options{})
	c, ctx := client(t, s), deadline(t)
	must(t, c.Set(ctx, "k", "v", 0).Err())
	must(t, s.Restart(ctx))
	if n := c.DBSize(ctx).Val(); n != 0 {
		t.Errorf("%d keys after restart, want 0", n)
	}
}

func TestPausedServerHoldsConnectionsAndAnswersAfterResume(t *testing.T) {
	s := start(t, redisserver.Options{})
	c, ctx := client(t, s), deadline(t)
	must(t, c.Ping(ctx).Err())
	must(t, s.Pause())
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := c.Ping(short).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING to a paused server: %v, want a timeout", err)
	}
	if !s.Running() {
		t.Error("Running() = false while paused")
	}
	must(t, s.Resume())
	must(t, c.Ping(ctx).Err())
	must(t, s.Pause())
	must(t, s.Stop(ctx)) // also a paused server stops when asked
}

func TestPasswordOfAnyBytesWorksAndIsNeverInAnError(t *testing.T) {
	password := "p\"a\\s's #%@:/?&=+\t\n\x01é!"
	s := start(t, redisserver.Options{Password: password})
	must(t, client(t, s).Ping(deadline(t)).Err())

	open := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = open.Close() }()
	if err := open.Ping(deadline(t)).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("PING without the password: %v, want NOAUTH", err)
	}

	_, err := redisserver.Start(deadline(t), redisserver.Options{
		Password: "hunter2-hunter2", Config: []string{"requirepass hunter2-hunter2 oops"},
	})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want one without the password", err)
	}
}

func TestErrorsQuoteTheEndOfTheLog(t *testing.T) {
	_, err := redisserver.Start(deadline(t), redisserver.Options{Config: []string{"no-such-directive yes"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("error = %v, want the server's own words", err)
	}
}

func TestPortOfAServerThatIsDownIsNobodyElses(t *testing.T) {
	s := start(t, redisserver.Options{})
	s.Kill()
	free := func() bool { // as ReservePort sees it
		l, err := net.ListenPacket("udp", s.Addr())
		return err == nil && l.Close() == nil
	}
	if free() {
		t.Error("the port of a server that was killed can be reserved")
	}
	must(t, s.Restart(deadline(t)))
	must(t, s.Close())
	if !free() {
		t.Error("the port of a closed server cannot be reserved")
	}
}

func TestServerIsBoundToLoopbackOnly(t *testing.T) {
	s := start(t, redisserver.Options{})
	got, err := client(t, s).ConfigGet(deadline(t), "bind").Result()
	must(t, err)
	if got["bind"] != "127.0.0.1" {
		t.Errorf("bind = %q, want 127.0.0.1", got["bind"])
	}
}

func TestStartIsBoundedByItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := redisserver.Start(ctx, redisserver.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a cancelled context: %v, want context.Canceled", err)
	}
}

func TestNothingStartsAfterClose(t *testing.T) {
	s := start(t, redisserver.Options{}) // which closes it again
	must(t, s.Close())
	if err := s.Restart(deadline(t)); err == nil || s.Running() {
		t.Errorf("Restart after Close: %v, running: %v; want an error and no server", err, s.Running())
	}
}

func TestCloseWhileRestartingLeavesNothingRunning(t *testing.T) {
	s := start(t, redisserver.Options{})
	ctx := deadline(t)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Restart(ctx) }) // either order is fine
	must(t, s.Close())
	wg.Wait()
	if s.Running() {
		t.Error("the server runs after Close")
	}
}
