package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

const (
	// holdTime is how long a request waits for an instance that takes it, while all of them are starting.
	holdTime = 10 * time.Second
	// answerTime is how long an instance may think before it answers: longer than its own limit for Redis.
	answerTime = 15 * time.Second
	dialTime   = time.Second
)

// errNobody reports that no instance took a request in time.
var errNobody = errors.New("no instance is up")

// health is what is known of an instance.
type health int

const (
	down    health = iota // not started, not listening, or silent
	unready               // answers, but cannot count visits now, or is stopping
	ready
)

// balancer hands each request to the next instance in turn. It is safe for concurrent use.
//
// Instances that are ready come first. If none is, those that at least answer get the request: while Redis is away
// nobody is ready, and the visitor should see the app's own page. A visit is not idempotent, so a request is
// tried on another instance only if no connection could be made: then nothing of it was delivered.
type balancer struct {
	transport http.RoundTripper

	mu      sync.Mutex
	members []*member
	turn    map[bool]int  // who was last, for visits (true) and for everything else
	changed chan struct{} // closed, and made anew, when a request might find an instance that was not there before
}

// member is one place in the turn. Its fields belong to the balancer's mutex.
type member struct {
	name   string
	addr   string // host and port of the present process, empty without one
	health health
}

func newBalancer(names []string) *balancer {
	b := &balancer{turn: map[bool]int{true: -1, false: -1}, changed: make(chan struct{})}
	for _, name := range names {
		b.members = append(b.members, &member{name: name})
	}
	b.transport = &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		ResponseHeaderTimeout: answerTime,
		DisableCompression:    true, // bodies pass as they are
		// Over a connection that was used before, Transport repeats a request whose answer was lost. Over a new
		// one it never does, and an error of the dial is proof that nothing was delivered.
		DisableKeepAlives: true,
	}
	return b
}

// handler returns the balancer as a reverse proxy.
func (b *balancer) handler() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:      rewrite,
		Transport:    b,
		ErrorHandler: explain,
		ErrorLog:     log.New(io.Discard, "", 0), // explain has said it
	}
}

// rewrite gives the request the headers of a router. What the client sent by those names does not pass. The Host
// stays, so that the origin of a form is still the app's own.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = "instance" // replaced in RoundTrip
	r.SetXForwarded()
	r.Out.Header.Set("X-Request-Id", strings.ToLower(rand.Text()))
}

// RoundTrip sends a request to the next instance in turn.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	patience, cancel := context.WithTimeoutCause(r.Context(), holdTime, errNobody)
	defer cancel()
	for patience.Err() == nil {
		m, addr, changed := b.take(r.URL.Path == "/")
		if m == nil {
			select {
			case <-changed:
			case <-patience.Done():
			}
			continue
		}
		answer, err := b.send(r, addr)
		if err == nil || !undelivered(err) || r.Context().Err() != nil {
			return answer, err
		}
		b.report(m, addr, down)
	}
	return nil, context.Cause(patience)
}

func (b *balancer) send(r *http.Request, addr string) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Host = addr
	if r.Body != nil {
		out.Body = io.NopCloser(r.Body) // a dial that fails closes it, unread
	}
	return b.transport.RoundTrip(out)
}

// undelivered reports whether an error is that of a connection which was never made.
func undelivered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// take returns the next instance for a request. Visits take turns apart from the rest: otherwise a page that loads three
// files would come from the same of four each time. With nobody to take it, the channel is closed when that may have changed.
func (b *balancer) take(visit bool) (m *member, addr string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wanted := range []health{ready, unready} {
		for i := 1; i <= len(b.members); i++ {
			next := (b.turn[visit] + i) % len(b.members)
			m := b.members[next]
			if m.addr == "" || m.health != wanted {
				continue
			}
			b.turn[visit] = next
			return m, m.addr, nil
		}
	}
	return nil, "", b.changed
}

// move gives a member the address of its new process, or none. It is down until it is reported to be better.
func (b *balancer) move(m *member, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.addr, m.health = addr, down
	b.announce()
}

// report says how the process at addr is. A report on a process that is not the member's present one is too late.
func (b *balancer) report(m *member, addr string, h health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.addr != addr || m.health == h {
		return
	}
	m.health = h
	b.announce()
}

// state returns a member's present address and health.
func (b *balancer) state(m *member) (addr string, h health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return m.addr, m.health
}

// await returns when a condition on the members is met, nil, or when ctx ends, its error.
func (b *balancer) await(ctx context.Context, met func() bool) error {
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if met() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announce wakes those who wait for a change. The caller holds the mutex.
func (b *balancer) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// explain answers a request that no instance answered.
func explain(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "The instance that had this request ended, or went silent, before it answered. "+
		"The visit may or may not have been counted, so the balancer did not send it to another one. Try again."
	if errors.Is(err, errNobody) {
		status, text = http.StatusServiceUnavailable, "No instance is up. They are being started. Try again in a moment."
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, page, status, http.StatusText(status), text)
	}
}

const page = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>%d %s</title>
<h1>The balancer has no answer</h1>
<p>%s
<p><a href="/">Visit again</a>
</html>
`
