package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
)

// maxDrain is the time that a platform grants from SIGTERM to the end: Cloud Foundry kills after 10 seconds.
const maxDrain = 8 * time.Second

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
			const requests, timeout = 16, 4 * time.Second
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server)
			i := start(t, "REDIS_URL="+proxy.URL(), "REDIS_TIMEOUT="+timeout.String())
			v := newVisitor(t, i.url)
			visit(t, v)
			var written atomic.Int64
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				WroteRequest: func(httptrace.WroteRequestInfo) { written.Add(1) },
			})
			visitAtOnce := func() <-chan visitor.Answer {
				answers := make(chan visitor.Answer, requests)
				for range requests {
					go func() {
						answer, _ := v.Visit(ctx)
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
			before := proxy.Seen("EVALSHA")
			answers := visitAtOnce()
			redistest.Wait(t, "the requests to be under way, and some of them to wait for Redis", func() bool {
				return written.Load() >= 2*requests && proxy.Seen("EVALSHA") > before
			})
			drain := i.stop(t)
			for range requests {
				if answer := <-answers; answer.Status != test.status || answer.Took > timeout+time.Second {
					t.Errorf("a request under way was answered with %d after %v", answer.Status, answer.Took)
				}
			}
			t.Logf("%d requests answered with %d, ended after %v", requests, test.status, drain)
		})
	}
}

func TestSIGTERMEndsInTimeWhateverClientsDo(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory", longTimeout)
	const ready = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
	i.dial(t) // says nothing at all
	half := i.dial(t)
	half.send("GET / HTTP/1.1", "Host: x", "X-Half: ")
	idle, second, other := i.dial(t), i.dial(t), i.dial(t)
	for _, w := range []*wire{idle, second, other} {
		w.send(ready)
		if answer := w.answer(http.MethodGet); answer.Status != http.StatusOK || answer.Header.Get("Connection") == "close" {
			t.Errorf("before SIGTERM: %d, %v", answer.Status, answer.Header)
		}
	}
	second.send("GET / HTTP/1.1", "Host: x", "X-Half: ")
	body := i.dial(t)
	body.send("POST /reset HTTP/1.1", "Host: x", "Content-Length: 1000", "", "only the start")

	began := time.Now()
	i.signal(t, syscall.SIGTERM)
	i.awaitLog(t, "stopping", 1)
	idle.send(ready)
	if answer := idle.answer(http.MethodGet); answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Connection") != "close" {
		t.Errorf("while it drains, /readyz on a kept connection: %d, %v", answer.Status, answer.Header)
	}
	second.send("and its end", "", "")
	if answer := second.answer(http.MethodGet); answer.Status != http.StatusOK {
		t.Errorf("a request that ends while the instance drains: %d", answer.Status)
	}
	if answer := body.answer(http.MethodPost); answer.Status != http.StatusSeeOther {
		t.Errorf("a request whose body never ends: %d", answer.Status)
	}
	if _, err := newVisitor(t, i.url).Request(t.Context(), http.MethodGet, "/healthz"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection while it drains: %v", err)
	}
	if status, after := i.await(t), time.Since(began); status != 0 || after > maxDrain {
		t.Errorf("ended with status %d after %v", status, after)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, signals := range [][2]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGINT}} {
		i := start(t, "SESSION_STORE=memory")
		i.dial(t).send("GET / HTTP/1.1", "Host: x", "X-Half: ") // holds the drain for seconds
		i.signal(t, signals[0])
		i.awaitLog(t, "stopping", 1)
		if status, after := i.end(t, signals[1]); status == 0 || after > 3*time.Second {
			t.Errorf("%v, then %v: ended with status %d after %v", signals[0], signals[1], status, after)
		}
	}
}

func TestIdleInstanceStopsAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	http.DefaultClient.CloseIdleConnections() // awaitHealth has left one open
	if after := i.stop(t); after > time.Second {
		t.Errorf("ended after %v", after)
	}
}

func TestSIGKILLLosesNoNumberThatABrowserSaw(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		redis bool // is killed too
	}{{"SIGKILL of the app", false}, {"SIGKILL of the app and of Redis", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.StartWith(t, redisserver.Options{AppendOnly: true})
			i := start(t, "REDIS_URL="+server.URL())
			tally := newTally(t, i.url)
			tally.visit()
			var visitors sync.WaitGroup
			for range 8 {
				visitors.Go(func() {
					for tally.visit() { // until it is killed
					}
				})
			}
			tally.await(200)
			i.signal(t, syscall.SIGKILL)
			if test.redis {
				server.Kill()
			}
			i.await(t)
			visitors.Wait()
			if test.redis {
				redistest.Restart(t, server)
			}
			i.restart(t)
			last, err := tally.visitor.Visit(t.Context())
			tally.Add(last, err)
			sum := tally.Sum()
			if err := tally.Check(last.Page.Visits, tally.maxWait()); err != nil || sum.Highest != last.Page.Visits || sum.Sent-sum.Acknowledged > 8 {
				t.Errorf("%d sent, %d acknowledged, the highest number %d, the last %d: %v",
					sum.Sent, sum.Acknowledged, sum.Highest, last.Page.Visits, err)
			}
			tally.agree()
		})
	}
}

func TestRollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	instances := []*instance{
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.1", "LOG_LEVEL=warn", longTimeout),
		start(t, "REDIS_URL="+server.URL(), "INSTANCE=web.2", "LOG_LEVEL=warn", longTimeout),
	}
	tally := newTally(t, newRouter(t, routerOptions{}, instances...).url)
	tally.visit()
	const restarts = 4
	var slowest time.Duration
	tally.during(func() {
		for n := range restarts {
			tally.await(100)
			slowest = max(slowest, instances[n%2].stop(t))
			instances[n%2] = instances[n%2].restart(t)
		}
	})
	tally.checkExact(fmt.Sprintf("%d restarts under load", restarts))
	t.Logf("slowest drain %v", slowest)
}
