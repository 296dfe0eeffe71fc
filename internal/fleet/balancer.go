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

	"visit-counter/internal/poll"
)

const (
	// holdTimeout limits how long a request waits for an instance while all of them are starting.
	holdTimeout = 10 * time.Second
	// answerTimeout limits how long an instance may take to answer. It is longer than the instance's own limit for Redis.
	answerTimeout = 15 * time.Second
	dialTimeout   = time.Second
)

// errNoInstance reports that no instance took a request in time.
var errNoInstance = errors.New("no instance is up")

// balancer sends visits to the instances in turn. It is safe for concurrent use.
//
// It prefers instances that are ready. If none is, it uses those that at least answer: while Redis is away no instance is
// ready, and the visitor should see the app's own page. A visit is not idempotent, so the balancer tries another instance
// only if it could not connect to the first one, which then has received nothing of the request.
type balancer struct {
	instances []*Instance

	mu   sync.Mutex
	turn int // the index of the instance whose turn it is
}

// handler returns the balancer as a reverse proxy.
func (b *balancer) handler() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: rewrite,
		Transport: &http.Transport{
			// Transport repeats a request whose answer was lost if the connection had been used before, but never on a
			// new one. So each request gets its own connection, and dial chooses the instance.
			DialContext:           b.dial,
			DisableKeepAlives:     true,
			ResponseHeaderTimeout: answerTimeout,
			DisableCompression:    true, // bodies pass as they are
		},
		ErrorHandler: explain,
		ErrorLog:     log.New(io.Discard, "", 0), // explain reports the errors
	}
}

// rewrite gives requests one of these hosts, so that dial knows which kind they are.
const (
	forVisit = "visit:80"
	forRest  = "rest:80"
)

// rewrite replaces the headers that a router sets, so that a client cannot forge them. The Host stays, so that the origin
// of a form is still the app's own.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", forRest
	if r.In.URL.Path == "/" {
		r.Out.URL.Host = forVisit
	}
	r.SetXForwarded()
	r.Out.Header.Set("X-Request-Id", strings.ToLower(rand.Text()))
}

// dial connects to the instance whose turn it is, or to the next one that accepts the connection.
func (b *balancer) dial(ctx context.Context, network, purpose string) (conn net.Conn, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, holdTimeout, errNoInstance)
	defer cancel()
	dialer := net.Dialer{Timeout: dialTimeout}
	err = poll.Until(ctx, func() bool {
		p := b.next(purpose == forVisit)
		if p == nil {
			return false
		}
		var refused error
		if conn, refused = dialer.DialContext(ctx, network, p.addr); refused != nil && ctx.Err() == nil {
			p.health.Store(down)
		}
		return refused == nil
	})
	return conn, err
}

// next returns the process whose turn it is, or nil if none is up. Only visits advance the turn: otherwise, with four
// instances, a page that loads three files would come from the same instance each time.
func (b *balancer) next(visit bool) *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wanted := range []int32{ready, unready} {
		for i := range b.instances {
			place := (b.turn + i) % len(b.instances)
			p := b.instances[place].present.Load()
			if p == nil || p.health.Load() != wanted {
				continue
			}
			if visit {
				b.turn = place + 1
			}
			return p
		}
	}
	return nil
}

// explain answers a request that no instance answered.
func explain(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "The instance that got this request ended or stopped responding before it answered. "+
		"The visit may or may not have been counted, so the balancer did not send it to another instance. Try again."
	if errors.Is(err, errNoInstance) {
		status, text = http.StatusServiceUnavailable, "No instance is up. The instances are being started. Try again in a moment."
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, page, status, http.StatusText(status), text)
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
