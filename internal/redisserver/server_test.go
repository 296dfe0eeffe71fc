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
	"visit-counter/internal/redistest"
)

var must = redistest.Must

func TestOnlyTheAppendOnlyFileKeepsDataAfterKillAndRestart(t *testing.T) {
	for appendOnly, want := range map[bool]string{true: "v", false: ""} {
		s := redistest.StartWith(t, redisserver.Options{AppendOnly: appendOnly})
		c, ctx, addr := redistest.Client(t, s), t.Context(), s.Addr()
		must(t, c.Set(ctx, "k", "v", 0).Err())
		s.Kill()
		if err := c.Ping(ctx).Err(); err == nil || s.Running() {
			t.Error("a killed server still runs")
		}
		redistest.Restart(t, s)
		if got := c.Get(ctx, "k").Val(); got != want || s.Addr() != addr {
			t.Errorf("append-only %t: %q at %s after the restart, want %q at %s", appendOnly, got, s.Addr(), want, addr)
		}
	}
}

func TestServerIsConfiguredAsPromised(t *testing.T) {
	c := redistest.Client(t, redistest.StartWith(t, redisserver.Options{AppendOnly: true}))
	for name, want := range map[string]string{
		"bind":        "127.0.0.1", // not reachable from other machines
		"appendfsync": "no",        // with everysec, Kill can lose writes that were answered during an fsync
	} {
		if got := c.ConfigGet(t.Context(), name).Val()[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestPausedServerHoldsConnectionsAndAnswersAfterResume(t *testing.T) {
	s := redistest.Start(t)
	c, ctx := redistest.Client(t, s), t.Context()
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
	s.Stop()
	if s.Running() {
		t.Error("Stop did not stop a paused server")
	}
}

func TestPasswordOfAnyBytesWorks(t *testing.T) {
	s := redistest.StartWith(t, redisserver.Options{Password: "p\"a\\s's #%@:/?&=+\t\n\x01é!"})
	must(t, redistest.Client(t, s).Ping(t.Context()).Err())

	open := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = open.Close() }()
	if err := open.Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("PING without the password: %v, want NOAUTH", err)
	}
}

func TestErrorsQuoteTheLogWithoutThePassword(t *testing.T) {
	_, err := redisserver.Start(t.Context(), redisserver.Options{
		Password: "hunter2-hunter2", Config: []string{"no-such-directive hunter2-hunter2"},
	})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want the end of the log, without the password", err)
	}
}

func TestPortOfAServerThatIsDownStaysReserved(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	free := func() bool { // by the check that ReservePort makes
		l, err := net.ListenPacket("udp", s.Addr())
		return err == nil && l.Close() == nil
	}
	if free() {
		t.Error("the port of a server that was killed can be reserved")
	}
	redistest.Restart(t, s)
	must(t, s.Close())
	if !free() {
		t.Error("the port of a closed server cannot be reserved")
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := redisserver.Start(ctx, redisserver.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a cancelled context: %v, want context.Canceled", err)
	}
}

func TestNothingRunsAfterClose(t *testing.T) {
	s := redistest.Start(t) // its cleanup closes the server a second time
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Restart(t.Context()) }) // runs before or after Close
	must(t, s.Close())
	wg.Wait()
	if err := s.Restart(t.Context()); err == nil || s.Running() {
		t.Errorf("Restart after Close: %v, running: %v; want an error and no server", err, s.Running())
	}
}
