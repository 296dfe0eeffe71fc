package e2e

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"visit-counter/internal/commands"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// abandon sends a visit and disconnects before the answer.
func (i *instance) abandon(t testing.TB) {
	w := i.dial(t)
	w.send("GET / HTTP/1.1", "Host: x", "", "")
	_ = w.Close()
}

// load lets that many browsers visit concurrently and repeatedly. They abandon every third visit. Visits may fail.
func (i *instance) load(t testing.TB, browsers, visitsEach int) {
	t.Helper()
	var wg sync.WaitGroup
	for range browsers {
		v := newVisitor(t, i.url)
		wg.Go(func() {
			for n := range visitsEach {
				if n%3 == 2 {
					i.abandon(t)
				} else {
					_, _ = v.Visit(t.Context())
				}
			}
		})
	}
	wg.Wait()
}

func TestConnectionsToRedisNeverExceedThePool(t *testing.T) {
	t.Parallel()
	for _, pool := range []struct {
		env  string
		size int
	}{{"REDIS_POOL_SIZE=", 4}, {"REDIS_POOL_SIZE=2", 2}} {
		t.Run(pool.env, func(t *testing.T) {
			t.Parallel()
			server := redistest.StartWith(t, redisserver.Options{Config: []string{"user app on nopass allkeys allcommands"}}) // distinguishes the app's connections from the test's
			rdb := redistest.Client(t, server)
			connections := func() int {
				list, err := rdb.ClientList(t.Context()).Result()
				if err != nil {
					return 0 // it is being restarted
				}
				return strings.Count(list, " user=app ")
			}
			var highest, samples atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var watching sync.WaitGroup
			watching.Go(func() {
				for ctx.Err() == nil {
					highest.Store(max(highest.Load(), int64(connections())))
					samples.Add(1)
				}
			})
			i := start(t, "REDIS_URL="+strings.Replace(server.URL(), "//", "//app:any@", 1), "LOG_LEVEL=error", pool.env)
			i.load(t, 64, 5) // before any connection is open
			back := make(chan struct{})
			go func() {
				defer close(back)
				server.Kill()
				redistest.Restart(t, server)
			}()
			i.load(t, 64, 10) // while it is away and comes back
			<-back
			newTally(t, i.url).recover()
			before := i.memory(t)
			i.load(t, 32, 20)
			i.load(t, 32, 20)
			stop()
			watching.Wait()
			if got := highest.Load(); got > int64(pool.size) || got < 1 {
				t.Errorf("there were %d connections to Redis, want at most %d", got, pool.size)
			}
			if after := connections(); after > pool.size {
				t.Errorf("after the load there are %d connections", after)
			}
			t.Logf("at most %d connections in %d samples", highest.Load(), samples.Load())
			i.unharmed(t, before, 64<<20)
		})
	}
}

// TestNothingIsLeftAfterTheLoad runs the app in this process to count its goroutines, and therefore not in parallel.
func TestNothingIsLeftAfterTheLoad(t *testing.T) {
	t.Chdir(t.TempDir()) // which has no .env
	server := redistest.Start(t)
	env := map[string]string{"REDIS_URL": server.URL(), "PORT": freePort(t), "INSTANCE": "web.1"}
	http.DefaultClient.CloseIdleConnections()
	atFirst := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() {
		status <- commands.Run(ctx, []string{"serve"}, func(name string) string { return env[name] }, io.Discard, io.Discard)
	}()
	i := &instance{url: "http://127.0.0.1:" + env["PORT"], exited: make(chan struct{})}
	i.awaitHealth(t)
	use := func() (goroutines int, heap uint64) {
		t.Run("load", func(t *testing.T) { i.load(t, 32, 9) }) // a test of its own, so that it keeps nothing
		http.DefaultClient.CloseIdleConnections()
		rest := 0
		redistest.Wait(t, "the requests to end", func() bool { // those that were abandoned end last
			last := rest
			rest = runtime.NumGoroutine()
			return rest == last && rest < atFirst+40
		})
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return rest, stats.HeapAlloc
	}
	use()
	goroutines, heap := use()
	for range 3 {
		use()
	}
	goroutinesAfter, heapAfter := use()
	if goroutinesAfter > goroutines+4 { // a connection more or less
		t.Errorf("%d goroutines after one load, %d after five", goroutines, goroutinesAfter)
	}
	if int64(heapAfter)-int64(heap) > 1<<20 {
		t.Errorf("%d bytes of memory after one load, %d after five", heap, heapAfter)
	}
	cancel()
	if got := <-status; got != 0 {
		t.Errorf("status %d", got)
	}
	http.DefaultClient.CloseIdleConnections()
	redistest.Wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= atFirst })
	t.Logf("goroutines: %d before, %d after one load, %d after five, %d after the end; heap: %d kB, %d kB",
		atFirst, goroutines, goroutinesAfter, runtime.NumGoroutine(), heap>>10, int64(heapAfter)>>10)
}
