package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
)

// router passes requests on to instances in turn, as a platform's does: it passes over an instance that it cannot
// connect to, and never sends a request twice.
type router struct {
	transport *http.Transport

	mu     sync.Mutex
	places []*place
	next   int
}

// place is one that an instance of the app fills.
type place struct {
	host   string
	active sync.WaitGroup // requests under way
}

// anyInstance is the index of the instance whose turn it is.
const anyInstance = -1

func newRouter(transport *http.Transport, instances ...*instance) *router {
	r := &router{transport: transport}
	for _, i := range instances {
		r.places = append(r.places, i.place())
	}
	return r
}

func (i *instance) place() *place { return &place{host: strings.TrimPrefix(i.url, "http://")} }

// RoundTrip sends a request to the instance whose turn it is, or the next one that listens.
func (r *router) RoundTrip(request *http.Request) (*http.Response, error) {
	_, answer, err := r.send(request, anyInstance)
	return answer, err
}

// send sends a request to the instance with this index, or the next one that listens. It returns the index of the one
// that had it.
func (r *router) send(request *http.Request, first int) (index int, answer *http.Response, err error) {
	if first == anyInstance {
		r.mu.Lock()
		first = r.next
		r.next++
		r.mu.Unlock()
	}
	for attempt := range len(r.places) {
		index = (first + attempt) % len(r.places)
		answer, err = r.sendTo(index, request)
		var failed *net.OpError
		if !errors.As(err, &failed) || failed.Op != "dial" {
			break
		}
	}
	return index, answer, err
}

func (r *router) sendTo(index int, request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	p := r.places[index]
	p.active.Add(1)
	r.mu.Unlock()
	defer p.active.Done()
	request.URL.Scheme, request.URL.Host = "http", p.host
	// An http.Transport repeats what it can by itself, unless the request has a body that it cannot read again. Nobody
	// here sends one.
	request.Body = struct{ io.ReadCloser }{http.NoBody}
	return r.transport.RoundTrip(request)
}

// replace gives an instance's place to another one, and returns when no request is on its way to the old one.
func (r *router) replace(index int, with *instance) {
	r.mu.Lock()
	before := r.places[index]
	r.places[index] = with.place()
	r.mu.Unlock()
	before.active.Wait()
}

// inTurn is a router that keeps its connections. A request that no instance answers fails the test.
func inTurn(t testing.TB, instances ...*instance) http.Handler {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Request-Id", strings.ToLower(rand.Text()))
		},
		Transport: newRouter(transport, instances...),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("router: %v", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

// listen serves until the test has ended, and returns the address.
func listen(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
