package fleet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

// stub is an instance of which a test decides what it does.
type stub struct {
	addr   string
	served atomic.Int64
}

func newStub(t *testing.T, handler http.HandlerFunc) *stub {
	b := new(stub)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.served.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	b.addr = server.Listener.Addr().String()
	return b
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	port, err := redisserver.ReservePort()
	must(t, err)
	t.Cleanup(port.Release)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port.Number))
}

// serve puts a balancer before instances, all of them ready.
func serve(t *testing.T, addrs ...string) (*balancer, string) {
	b := new(balancer)
	for i, addr := range addrs {
		b.instances = append(b.instances, &Instance{name: fmt.Sprintf("web.%d", i+1), addr: addr, health: ready})
	}
	front := httptest.NewServer(b.handler())
	t.Cleanup(front.Close)
	return b, front.URL
}

type reply struct {
	status int
	body   string
	err    error // there was none, or not all of it
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestThatCouldNotBeDeliveredGoesToTheNext(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		alive := newStub(t, ok)
		b, url := serve(t, closedPort(t), closedPort(t), alive.addr)
		if got := send(t, method, url); got.status != http.StatusOK || alive.served.Load() != 1 {
			t.Errorf("%s: answer %d, delivered %d times, want 200 and once", method, got.status, alive.served.Load())
		}
		if _, h := b.instances[0].state(); h != down {
			t.Errorf("%s: the instance that refused is still in the turn", method)
		}
	}
}

func TestRequestThatMayHaveBeenExecutedIsNeverRepeated(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		dying, other := newStub(t, hangUp), newStub(t, ok)
		_, url := serve(t, dying.addr, other.addr)
		got := send(t, method, url)
		if got.status != http.StatusBadGateway || !strings.Contains(got.body, "may or may not have been counted") {
			t.Errorf("%s: answer %d %q, want a 502 that explains", method, got.status, got.body)
		}
		if dying.served.Load() != 1 || other.served.Load() != 0 {
			t.Errorf("%s: delivered %d and %d times, want once in all", method, dying.served.Load(), other.served.Load())
		}
	}
}

func TestAnswerThatBreaksOffIsNeverReplaced(t *testing.T) {
	breakOff := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	dying, other := newStub(t, breakOff), newStub(t, ok)
	_, url := serve(t, dying.addr, other.addr)
	if got := send(t, http.MethodGet, url); got.err == nil || other.served.Load() != 0 {
		t.Errorf("the visitor got %q (%v), the other instance %d requests", got.body, got.err, other.served.Load())
	}
}

func TestInstanceThatDrainsGetsNoRequest(t *testing.T) {
	draining, alive := newStub(t, ok), newStub(t, ok)
	b, url := serve(t, draining.addr, alive.addr)
	b.instances[0].report(draining.addr, unready)
	for range 6 {
		send(t, http.MethodGet, url)
	}
	if draining.served.Load() != 0 || alive.served.Load() != 6 {
		t.Errorf("draining %d, alive %d requests, want 0 and 6", draining.served.Load(), alive.served.Load())
	}
}

func TestVisitorsSeeTheAppsOwnPageWhenNobodyIsReady(t *testing.T) {
	away := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Redis is away", http.StatusServiceUnavailable)
	}
	first, second := newStub(t, away), newStub(t, away)
	b, url := serve(t, first.addr, second.addr)
	b.instances[0].report(first.addr, unready)
	b.instances[1].report(second.addr, unready)
	for range 4 {
		if got := send(t, http.MethodGet, url+"/"); !strings.Contains(got.body, "Redis is away") {
			t.Errorf("answer %d %q, want the app's own", got.status, got.body)
		}
	}
	if first.served.Load() != 2 || second.served.Load() != 2 {
		t.Errorf("requests %d and %d, want 2 each", first.served.Load(), second.served.Load())
	}
}

func TestVisitsTakeTurnsWhateverElseThePageLoads(t *testing.T) {
	one, two := newStub(t, ok), newStub(t, ok)
	visits := make([]int64, 0, 2)
	_, url := serve(t, one.addr, two.addr)
	for range 2 {
		before := one.served.Load()
		send(t, http.MethodGet, url+"/")
		visits = append(visits, one.served.Load()-before)
		send(t, http.MethodGet, url+"/static/style.css")
	}
	if visits[0]+visits[1] != 1 {
		t.Errorf("two visits, each with one file, came %v times from the first of two instances, want once in all", visits)
	}
}

func TestInstanceSeesTheVisitorAsBehindARouter(t *testing.T) {
	var seen *http.Request
	instance := newStub(t, func(_ http.ResponseWriter, r *http.Request) { seen = r })
	_, url := serve(t, instance.addr)
	send(t, http.MethodGet, url, "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "X-Request-Id", "mine")
	host := strings.TrimPrefix(url, "http://")
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": host,
	} {
		if got := seen.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q and nothing of the client's", name, got, want)
		}
	}
	if seen.Host != host {
		t.Errorf("Host = %q, want %q, so that a form's origin is the app's own", seen.Host, host)
	}
	if id := seen.Header.Get("X-Request-Id"); id == "" || id == "mine" {
		t.Errorf("X-Request-Id = %q, want one of the balancer's", id)
	}
}

func TestRequestWaitsForAnInstanceThatIsStarting(t *testing.T) {
	instance := newStub(t, ok)
	b, url := serve(t, closedPort(t))
	answered := make(chan reply)
	go func() { answered <- send(t, http.MethodGet, url) }() // the first process refuses, and is down from then on
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, poll.Until(ctx, func() bool { _, h := b.instances[0].state(); return h == down }))
	b.instances[0].move(instance.addr)
	b.instances[0].report(instance.addr, ready)
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("answer %d, want 200 as soon as there is an instance", got.status)
	}
}

func TestReportOnAnEarlierProcessIsIgnored(t *testing.T) {
	var in Instance
	in.move("127.0.0.1:2")
	in.report("127.0.0.1:1", ready)
	if _, h := in.state(); h != down {
		t.Error("the health of a process that is gone is taken for that of the present one")
	}
}

func TestWithoutInstancesVisitorsAreToldSo(t *testing.T) {
	w := httptest.NewRecorder()
	explain(w, httptest.NewRequest(http.MethodGet, "/", nil), fmt.Errorf("round trip: %w", errNobody))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "being started") {
		t.Errorf("answer %d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestProcessesThatEndAgainAndAgainAreStartedLessAndLessOften(t *testing.T) {
	for failures, want := range []time.Duration{
		0, // it has run for a while
		0, // once is an accident
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
