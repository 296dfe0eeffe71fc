package backend_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// echo is a script that counts its calls, and returns its argument as a result or, if it begins with "fail", as an error.
var echo = redis.NewScript(`
	redis.call('INCR', KEYS[1])
	if ARGV[1]:sub(1, 4) == 'fail' then return redis.error_reply(ARGV[1]) end
	return ARGV[1]`)

const calls = "calls"

// oneConnection returns a client with one connection to a Redis that has loaded the script.
func oneConnection(t *testing.T, target redistest.Target, timeout string) redis.UniversalClient {
	t.Helper()
	b := open(t, target.URL(), "REDIS_POOL_SIZE=1", "REDIS_TIMEOUT="+timeout)
	if err := echo.Load(t.Context(), b.Client).Err(); err != nil {
		t.Fatal(err)
	}
	return b.Client
}

// together runs n scripts concurrently, script i with the argument arg(i), and returns their answers and errors.
func together(ctx context.Context, client redis.UniversalClient, n int, arg func(i int) string) (answers []string, errs []error) {
	answers, errs = make([]string, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { answers[i], errs[i] = echo.EvalSha(ctx, client, []string{calls}, arg(i)).Text() })
	}
	all.Wait()
	return answers, errs
}

func TestEachScriptOfABatchHasItsOwnAnswer(t *testing.T) {
	const n = 200
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	client := oneConnection(t, proxy, "5s")
	proxy.All(redistest.Any, redistest.Fate{Delay: 50 * time.Millisecond}) // one after the other would take 10 seconds
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answers, errs := together(ctx, client, n, func(i int) string {
		if i%10 == 0 {
			return fmt.Sprintf("fail %d", i)
		}
		return fmt.Sprintf("answer %d", i)
	})
	for i := range n {
		if i%10 == 0 {
			if errs[i] == nil || !strings.Contains(errs[i].Error(), fmt.Sprintf("fail %d", i)) {
				t.Errorf("script %d = %q, %v; want its own error", i, answers[i], errs[i])
			}
		} else if want := fmt.Sprintf("answer %d", i); answers[i] != want || errs[i] != nil {
			t.Errorf("script %d = %q, %v; want %q", i, answers[i], errs[i], want)
		}
	}
	wantCalls(t, server, n)
	if opened := proxy.Seen("HELLO"); opened != 1 {
		t.Errorf("%d connections were opened, want 1", opened)
	}
}

func TestAScriptWhoseContextHasEndedIsNotSent(t *testing.T) {
	server := redistest.Start(t)
	client := oneConnection(t, server, "10s")
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	patient, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	first := make(chan error, 1)
	go func() { first <- echo.EvalSha(patient, client, []string{calls}, "first").Err() }()
	redistest.Wait(t, "the first script to take the connection", func() bool {
		return client.PoolStats().TotalConns == 1 && client.PoolStats().IdleConns == 0
	})
	const patience = 100 * time.Millisecond
	brief, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	_, errs := together(brief, client, 50, func(int) string { return "abandoned" })
	for _, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a script whose context has ended = %v, want context.DeadlineExceeded", err)
		}
	}
	if took := time.Since(start); took > patience+time.Second {
		t.Errorf("50 scripts with a deadline of %v took %v", patience, took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Errorf("the script that waited = %v", err)
	}
	if err := echo.EvalSha(patient, client, []string{calls}, "last").Err(); err != nil {
		t.Errorf("a script afterwards = %v", err)
	}
	wantCalls(t, server, 2)
}

func TestABatchWhoseConnectionBreaksIsRepeatedOneByOne(t *testing.T) {
	const n = 100
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	client := oneConnection(t, proxy, "5s")
	// The scripts that arrive during the delay become a batch, which is cut as well.
	proxy.Next(3, redistest.Named("evalsha"), redistest.Fate{Delay: 20 * time.Millisecond, Cut: true})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answers, errs := together(ctx, client, n, func(i int) string { return fmt.Sprintf("answer %d", i) })
	for i := range n {
		if want := fmt.Sprintf("answer %d", i); answers[i] != want || errs[i] != nil {
			t.Errorf("script %d = %q, %v; want %q", i, answers[i], errs[i], want)
		}
	}
	if got := proxy.Affected(); got != 3 {
		t.Errorf("%d connections were broken, want 3", got)
	}
}

func TestWaitingScriptsFailWhenTheClientIsClosed(t *testing.T) {
	server := redistest.Start(t)
	client := oneConnection(t, server, "2s")
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	results := make(chan []error)
	go func() {
		_, errs := together(ctx, client, 50, func(int) string { return "unanswered" })
		results <- errs
	}()
	redistest.Wait(t, "a script to take the connection", func() bool {
		return client.PoolStats().TotalConns == 1 && client.PoolStats().IdleConns == 0
	})
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range <-results {
		if !errors.Is(err, redis.ErrClosed) {
			t.Errorf("a script of a closed client = %v, want redis.ErrClosed", err)
		}
	}
}

func wantCalls(t *testing.T, server *redisserver.Server, want int) {
	t.Helper()
	got, err := redistest.Client(t, server).Get(t.Context(), calls).Int()
	if err != nil || got != want {
		t.Errorf("the script ran %d times (%v), want %d", got, err, want)
	}
}
