package redistest_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

var must = redistest.Must

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// failing is a test that records its failure instead of failing.
type failing struct {
	testing.TB
	failure string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMissingServerFailsTheTestInOneLine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		redistest.Start(f)
	}()
	<-done
	want(t, "failure", f.failure, "this test needs a real Redis: redis-server is not installed "+
		"(apt-get install redis-server, or brew install redis)")
}

// setup returns a proxy, a client that uses it with RESP3 and a password, and a client that bypasses it.
func setup(t *testing.T) (p *redistest.Proxy, through, direct *redis.Client) {
	t.Helper()
	server := redistest.StartWith(t, redisserver.Options{Password: "p@ss/word"})
	p = redistest.NewProxy(t, server)
	return p, redistest.Client(t, p), redistest.Client(t, server)
}

// lost reports whether a connection ended before the answer came.
func lost(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

func TestACutCommandIsExecutedWithAllThatArrivedWithIt(t *testing.T) {
	p, through, direct := setup(t)
	p.Next(1, redistest.Writes, redistest.Fate{Cut: true})
	must(t, through.Exists(t.Context(), "n").Err()) // not a write, so not cut
	if err := through.Incr(t.Context(), "n").Err(); !lost(err) {
		t.Errorf("INCR = %v, want a lost connection", err)
	}
	want(t, "n", direct.Get(t.Context(), "n").Val(), "1")
	want(t, "n via the proxy", through.Get(t.Context(), "n").Val(), "1")

	p.Next(1, redistest.Named("incr"), redistest.Fate{Cut: true})
	_, err := through.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for range 1000 { // more than Redis reads at once
			pipe.Incr(t.Context(), "n")
		}
		return nil
	})
	if !lost(err) {
		t.Errorf("pipeline of INCR = %v, want a lost connection", err)
	}
	want(t, "n after the pipeline", direct.Get(t.Context(), "n").Val(), "1001")
	want(t, "commands affected", p.Affected(), 2)
}

func TestAnswersOfTheProxyKeepTheirOrderInAPipeline(t *testing.T) {
	p, through, direct := setup(t)
	must(t, direct.Set(t.Context(), "big", strings.Repeat("x\r\n", 50_000), 0).Err())
	p.Next(2, redistest.Named("incr"), redistest.Fate{Answer: redistest.ReadOnly})
	cmds, _ := through.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		pipe.Incr(t.Context(), "n")
		pipe.Get(t.Context(), "big")
		pipe.Incr(t.Context(), "n")
		pipe.Info(t.Context(), "server") // its answer has a type that only RESP3 has
		pipe.Incr(t.Context(), "n")
		return nil
	})
	for i, refused := range []bool{true, false, true, false, false} {
		err := cmds[i].Err()
		if got := err != nil && strings.HasPrefix(err.Error(), "READONLY"); got != refused || err != nil != refused {
			t.Errorf("command %d: %v; want refused: %t", i, err, refused)
		}
	}
	want(t, "length of the long answer", len(cmds[1].(*redis.StringCmd).Val()), 150_000)
	want(t, "INFO", strings.Contains(cmds[3].(*redis.StringCmd).Val(), "redis_version:"), true)
	want(t, "n", direct.Get(t.Context(), "n").Val(), "1")
	want(t, "commands affected", p.Affected(), 2)
	want(t, "increments seen", p.Seen("INCR"), 3)
}

func TestLostAndMutedCommandsDifferInWhatIsExecuted(t *testing.T) {
	for _, test := range []struct {
		name  string
		fate  redistest.Fate
		value string
	}{
		{"lost", redistest.Fate{Lose: true}, ""},
		{"muted", redistest.Fate{Mute: true}, "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, through, direct := setup(t)
			p.Next(1, redistest.Named("incr"), test.fate)
			failed := make(chan error)
			go func() { failed <- through.Incr(t.Context(), "n").Err() }()
			redistest.Wait(t, "the command", func() bool { return p.Affected() == 1 })
			want(t, "n", direct.Get(t.Context(), "n").Val(), test.value)
			p.Heal()
			if err := <-failed; !lost(err) {
				t.Errorf("INCR = %v, want a connection closed by Heal", err)
			}
			must(t, through.Ping(t.Context()).Err())
		})
	}
}

func TestABatchIsDelayedOnceAndHealEndsTheDelay(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Ping(t.Context()).Err())
	const delay = 50 * time.Millisecond
	p.All(redistest.Any, redistest.Fate{Delay: delay})
	began := time.Now()
	_, err := through.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for range 100 {
			pipe.Ping(t.Context())
		}
		return nil
	})
	must(t, err)
	if took := time.Since(began); took < delay || took > 50*delay {
		t.Errorf("100 commands at once took %v, want from %v to %v", took, delay, 50*delay)
	}
	p.All(redistest.Any, redistest.Fate{Delay: time.Hour})
	answered := make(chan error)
	go func() { answered <- through.Incr(t.Context(), "n").Err() }()
	redistest.Wait(t, "the command", func() bool { return p.Seen("INCR") == 1 })
	p.Heal()
	must(t, <-answered)
}
