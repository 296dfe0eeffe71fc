package fleet

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/redistest"
)

var must = redistest.Must

// stub is an instance whose behaviour a test chooses.
type stub struct {
	Instance
	served atomic.Int64
}

// newStub returns an instance that is ready.
func newStub(t *testing.T, handler http.HandlerFunc) *stub {
	s := new(stub)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	s.run(server.Listener.Addr().String())
	return s
}

// newClosed returns an instance that the balancer takes for ready although nothing listens at its address.
func newClosed(t *testing.T) *stub {
	s := new(stub)
	s.run(redistest.ReservePort(t).Addr())
	return s
}

// run gives the instance a process at addr that is ready.
func (s *stub) run(addr string) {
	p := &process{addr: addr}
	p.health.Store(ready)
	s.present.Store(p)
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }

// serve starts a balancer in front of the instances.
func serve(t *testing.T, instances ...*stub) (url string) {
	b := new(balancer)
	for _, s := range instances {
		b.instances = append(b.instances, &s.Instance)
	}
	front := httptest.NewServer(b.handler())
	t.Cleanup(front.Close)
	return front.URL
}

type reply struct {
	status int
	body   string
	err    error // the answer did not come, or is not complete
}

func send(t *testing.T, method, url string, header ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, string(body), err}
}

func TestRequestThatCouldNotBeDeliveredGoesToTheNext(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		closed, alive := newClosed(t), newStub(t, ok)
		url := serve(t, closed, newClosed(t), alive)
		if got := send(t, method, url); got.status != http.StatusOK || alive.served.Load() != 1 {
			t.Errorf("%s: status %d, delivered %d times, want 200 and once", method, got.status, alive.served.Load())
		}
		if closed.health() != down {
			t.Errorf("%s: the instance that refused still gets requests", method)
		}
	}
}

func TestRequestThatMayHaveBeenExecutedIsNeverRepeated(t *testing.T) {
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	breakOff := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of")
		w.(http.Flusher).Flush()
		hangUp(w, r)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, dies := range []http.HandlerFunc{hangUp, breakOff} {
			healthy := true
			dying, other := newStub(t, func(w http.ResponseWriter, r *http.Request) {
				if healthy {
					healthy = false
					return
				}
				dies(w, r)
			}), newStub(t, ok)
			url := serve(t, dying, other)
			send(t, method, url) // afterwards its connection could be reused
			send(t, method, url)
			got := send(t, method, url)
			explained := got.status == http.StatusBadGateway && strings.Contains(got.body, "may or may not have been counted")
			if got.err == nil && !explained {
				t.Errorf("%s: status %d %q, want the incomplete answer, or a 502 that explains", method, got.status, got.body)
			}
			if dying.served.Load() != 2 || other.served.Load() != 1 {
				t.Errorf("%s: the instances received %d and %d of 3 requests, want 2 and 1", method, dying.served.Load(), other.served.Load())
			}
		}
	}
}

func TestInstanceThatIsNotReadyGetsNoRequestWhileAnotherIs(t *testing.T) {
	draining, alive := newStub(t, ok), newStub(t, ok)
	draining.present.Load().health.Store(unready)
	url := serve(t, draining, alive)
	for range 6 {
		send(t, http.MethodGet, url)
	}
	if draining.served.Load() != 0 || alive.served.Load() != 6 {
		t.Errorf("the draining instance got %d requests, the other one %d, want 0 and 6", draining.served.Load(), alive.served.Load())
	}
}

func TestVisitorsSeeTheAppsOwnPageWhenNoInstanceIsReady(t *testing.T) {
	away := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Redis is away", http.StatusServiceUnavailable)
	}
	first, second := newStub(t, away), newStub(t, away)
	first.present.Load().health.Store(unready)
	second.present.Load().health.Store(unready)
	url := serve(t, first, second)
	for range 4 {
		if got := send(t, http.MethodGet, url+"/"); !strings.Contains(got.body, "Redis is away") {
			t.Errorf("status %d %q, want the app's own page", got.status, got.body)
		}
	}
	if first.served.Load() != 2 || second.served.Load() != 2 {
		t.Errorf("the instances got %d and %d requests, want 2 each", first.served.Load(), second.served.Load())
	}
}

func TestVisitsTakeTurnsWhateverElseThePageLoads(t *testing.T) {
	one, two := newStub(t, ok), newStub(t, ok)
	visits := make([]int64, 0, 2)
	url := serve(t, one, two)
	for range 2 {
		before := one.served.Load()
		send(t, http.MethodGet, url+"/")
		visits = append(visits, one.served.Load()-before)
		send(t, http.MethodGet, url+"/static/style.css")
	}
	if visits[0]+visits[1] != 1 {
		t.Errorf("of two visits with one file each, the first of two instances served %v, want one in total", visits)
	}
}

func TestInstanceSeesTheVisitorAsBehindARouter(t *testing.T) {
	var seen *http.Request
	instance := newStub(t, func(_ http.ResponseWriter, r *http.Request) { seen = r })
	url := serve(t, instance)
	send(t, http.MethodGet, url, "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "X-Request-Id", "mine")
	host := strings.TrimPrefix(url, "http://")
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": host,
	} {
		if got := seen.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want only %q: clients must not set it", name, got, want)
		}
	}
	if seen.Host != host {
		t.Errorf("Host = %q, want %q: the origin of a form must be the app's own", seen.Host, host)
	}
	if id := seen.Header.Get("X-Request-Id"); id == "" || id == "mine" {
		t.Errorf("X-Request-Id = %q, want one that the balancer made", id)
	}
}

func TestRequestWaitsForAnInstanceThatIsStarting(t *testing.T) {
	starting, next := newClosed(t), newStub(t, ok)
	url := serve(t, starting)
	answered := make(chan reply)
	go func() { answered <- send(t, http.MethodGet, url) }()
	redistest.Wait(t, "the instance to refuse the request", func() bool { return starting.health() == down })
	starting.present.Store(next.present.Load())
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("status %d, want 200 as soon as an instance is up", got.status)
	}
}

func TestWithoutInstancesTheBalancerSaysSo(t *testing.T) {
	w := httptest.NewRecorder()
	explain(w, httptest.NewRequest(http.MethodGet, "/", nil), fmt.Errorf("round trip: %w", errNoInstance))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "being started") {
		t.Errorf("status %d %v %q, want 503 with Retry-After and an explanation", w.Code, w.Header(), w.Body)
	}
}

func TestPauseGrowsWithEachFailureInARow(t *testing.T) {
	for failures, want := range []time.Duration{
		0, // it ran for a while
		0, // a single failure may be an accident
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, maxPause, maxPause,
	} {
		if got := pauseAfter(failures); got != want {
			t.Errorf("after %d failures in a row the pause is %v, want %v", failures, got, want)
		}
	}
	if got := pauseAfter(1000); got != maxPause {
		t.Errorf("after 1000 failures in a row the pause is %v, want %v", got, maxPause)
	}
}
