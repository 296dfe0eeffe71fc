package e2e

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// mostDrain is what a platform leaves us from SIGTERM to the end: Cloud Foundry kills after 10 seconds.
const mostDrain = 8 * time.Second

func TestSIGTERMAnswersEveryRequestUnderWay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		hinder func(*redistest.Proxy, *redisserver.Server)
		status int
	}{
		{"while Redis is slow", func(p *redistest.Proxy, _ *redisserver.Server) {
			p.All(redistest.Any, redistest.Fate{Delay: 300 * time.Millisecond})
		}, 200},
		{"while Redis hangs", func(_ *redistest.Proxy, s *redisserver.Server) { _ = s.Pause() }, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const requests, timeout = 16, 2 * time.Second
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server)
			i := start(t, "REDIS_URL="+proxy.URL(), "REDIS_TIMEOUT="+timeout.String())
			visitor := newBrowser(t)
			visitor.visit(t, i.url)
			visitAtOnce := func() <-chan response {
				answers := make(chan response, requests)
				for range requests {
					go func() {
						_, answer, _ := visitor.tryVisit(t, i.url)
						answers <- answer
					}()
				}
				return answers
			}
			proxy.All(redistest.Any, redistest.Fate{Delay: 200 * time.Millisecond})
			for warm, n := visitAtOnce(), 0; n < requests; n++ { // so that all connections to Redis are open
				<-warm
			}
			proxy.Heal()
			test.hinder(proxy, server)
			var written atomic.Int64
			visitor.trace = &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { written.Add(1) }}
			before := proxy.Seen("EVALSHA")
			answers := visitAtOnce()
			redistest.Wait(t, "the requests to be under way, and some of them to wait for Redis", func() bool {
				return written.Load() >= requests && proxy.Seen("EVALSHA") > before
			})
			status, after := i.end(t, syscall.SIGTERM)
			if status != 0 || after > mostDrain {
				t.Errorf("ended with status %d after %v", status, after)
			}
			for range requests {
				if answer := <-answers; answer.status != test.status || answer.took > timeout+time.Second {
					t.Errorf("a request under way was answered with %d after %v", answer.status, answer.took)
				}
			}
			t.Logf("%d requests answered with %d, ended after %v", requests, test.status, after)
		})
	}
}

func TestSIGTERMEndsInTimeWhateverClientsDo(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	const ready = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
	i.dial(t) // says nothing at all
	half := i.dial(t)
	half.send(t, "GET / HTTP/1.1", "Host: x", "X-Half: ")
	idle, second, other := i.dial(t), i.dial(t), i.dial(t)
	for _, w := range []*wire{idle, second, other} {
		w.send(t, ready)
		if answer := w.answer(t, http.MethodGet); answer.status != http.StatusOK || answer.header.Get("Connection") == "close" {
			t.Errorf("before SIGTERM: %d, %v", answer.status, answer.header)
		}
	}
	second.send(t, "GET / HTTP/1.1", "Host: x", "X-Half: ")
	body := i.dial(t)
	body.send(t, "POST /reset HTTP/1.1", "Host: x", "Content-Length: 1000", "", "only the start")

	began := time.Now()
	i.signal(t, syscall.SIGTERM)
	i.awaitLine(t, "stopping")
	idle.send(t, ready)
	if answer := idle.answer(t, http.MethodGet); answer.status != http.StatusServiceUnavailable || answer.header.Get("Connection") != "close" {
		t.Errorf("while it drains, /readyz on a kept connection: %d, %v", answer.status, answer.header)
	}
	second.send(t, "and its end", "", "")
	if answer := second.answer(t, http.MethodGet); answer.status != http.StatusOK {
		t.Errorf("a request that ends while the instance drains: %d", answer.status)
	}
	if answer := body.answer(t, http.MethodPost); answer.status != http.StatusSeeOther {
		t.Errorf("a request whose body never ends: %d", answer.status)
	}
	if _, err := newBrowser(t).try(http.MethodGet, i.url+"/healthz"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection while it drains: %v", err)
	}
	if status, after := i.await(t), time.Since(began); status != 0 || after > mostDrain {
		t.Errorf("ended with status %d after %v", status, after)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, signals := range [][2]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGINT}} {
		i := start(t, "SESSION_STORE=memory")
		i.dial(t).send(t, "GET / HTTP/1.1", "Host: x", "X-Half: ") // holds the drain for seconds
		i.signal(t, signals[0])
		i.awaitLine(t, "stopping")
		if status, after := i.end(t, signals[1]); status == 0 || after > 3*time.Second {
			t.Errorf("%v, then %v: ended with status %d after %v", signals[0], signals[1], status, after)
		}
	}
}

func TestIdleInstanceStopsAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	http.DefaultClient.CloseIdleConnections() // that of awaitHealth
	if status, after := i.end(t, syscall.SIGTERM); status != 0 || after > time.Second {
		t.Errorf("ended with status %d after %v", status, after)
	}
}

func TestSIGKILLLosesNoNumberThatABrowserSaw(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		redis bool // is killed too
	}{{"of the app", false}, {"of the app and of Redis", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.StartWith(t, redisserver.Options{AppendOnly: true, Fsync: "always"})
			i := start(t, "REDIS_URL="+server.URL())
			visitor := newBrowser(t)
			visitor.visit(t, i.url)
			var (
				sent, acknowledged, last atomic.Int64
				wg                       sync.WaitGroup
			)
			for range 8 {
				wg.Go(func() {
					for {
						sent.Add(1)
						v, _, ok := visitor.tryVisit(t, i.url)
						if !ok {
							return // it was killed
						}
						acknowledged.Add(1)
						for seen := last.Load(); int64(v.Visits) > seen && !last.CompareAndSwap(seen, int64(v.Visits)); seen = last.Load() {
						}
					}
				})
			}
			redistest.Wait(t, "visits", func() bool { return acknowledged.Load() >= 200 })
			i.signal(t, syscall.SIGKILL)
			if test.redis {
				server.Kill()
			}
			i.await(t)
			wg.Wait()
			if test.redis {
				redistest.Restart(t, server)
			}
			got := int64(visitor.visit(t, i.restart(t).url).Visits)
			least, most := max(last.Load(), acknowledged.Load()+1)+1, sent.Load()+2
			if got < least || got > most {
				t.Errorf("the visit after it is number %d, want %d to %d", got, least, most)
			}
			t.Logf("%d sent, %d acknowledged, the highest number seen %d, the next %d", sent.Load(), acknowledged.Load(), last.Load(), got)
		})
	}
}

func TestRollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	instances := []*instance{
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.1", "LOG_LEVEL=warn"),
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.2", "LOG_LEVEL=warn"),
	}
	y := newTally(t, listen(t, inTurn(t, instances...)))
	y.visit()
	const restarts = 8
	var slowest time.Duration
	y.during(func() {
		for n := range restarts {
			y.acknowledged(100)
			status, after := instances[n%2].end(t, syscall.SIGTERM)
			if status != 0 || after > mostDrain {
				t.Errorf("ended with status %d after %v", status, after)
			}
			slowest = max(slowest, after)
			instances[n%2] = instances[n%2].restart(t)
		}
	})
	y.prove(some(restarts, "restart")+" under load", 0)
	y.lostNone()
	t.Logf("slowest drain %v", slowest)
}
