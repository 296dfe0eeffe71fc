package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"visit-counter/internal/redistest"
)

// site is where visitors find the app: a name that the certificate of httptest is made for.
const site = "example.com"

// Cloud Foundry's router keeps a visitor who has the first cookie with the instance that the second one names.
const (
	stickyCookie = "JSESSIONID"
	vcapID       = "__VCAP_ID__"
	anyInstance  = -1
)

// cloudRouter stands in front of the instances as a platform's does: it ends TLS, takes the instances in turn, opens a
// connection for each request, tries another instance if nobody listens, and adds its headers.
type cloudRouter struct {
	cloud          *cloud
	plain, secured *httptest.Server
	transport      http.RoundTripper

	mu      sync.Mutex
	members []*place
	next    int
	ids     []string // of the requests, as the platform's log would have them
}

// place is one that an instance of the app fills.
type place struct {
	instance *instance
	active   int // requests under way
}

func newCloudRouter(t testing.TB, c *cloud, instances ...*instance) *cloudRouter {
	t.Helper()
	r := &cloudRouter{cloud: c, transport: &http.Transport{DisableKeepAlives: true}}
	for _, i := range instances {
		r.members = append(r.members, &place{instance: i})
	}
	proxy := &httputil.ReverseProxy{Rewrite: r.rewrite, Transport: r, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway)
	}}
	r.plain, r.secured = httptest.NewServer(proxy), httptest.NewTLSServer(proxy)
	t.Cleanup(r.plain.Close)
	t.Cleanup(r.secured.Close)
	return r
}

// rewrite adds the headers that the routers add. Both append to X-Forwarded-For; Cloud Foundry's passes on an
// X-Forwarded-Proto that is there.
func (r *cloudRouter) rewrite(request *httputil.ProxyRequest) {
	out := request.Out.Header
	out["X-Forwarded-For"] = request.In.Header["X-Forwarded-For"]
	request.SetXForwarded()
	out.Del("X-Forwarded-Host")
	if sent := request.In.Header.Get("X-Forwarded-Proto"); sent != "" && r.cloud.passesProto {
		out.Set("X-Forwarded-Proto", sent)
	}
	id := strings.ToLower(rand.Text())
	out.Set(r.cloud.requestID, id)
	r.mu.Lock()
	r.ids = append(r.ids, id)
	r.mu.Unlock()
	request.Out.URL.Scheme, request.Out.URL.Host = "http", "instance" // which one, RoundTrip decides
	request.Out.Host = request.In.Host
}

// RoundTrip sends a request to the instance that it asks for, or else to the next one that listens.
func (r *cloudRouter) RoundTrip(request *http.Request) (*http.Response, error) {
	asked := r.cloud.asksFor(request)
	for range len(r.members) {
		index, m := r.take(asked)
		out := request.Clone(request.Context())
		out.URL.Host = strings.TrimPrefix(m.instance.url, "http://")
		answer, err := r.transport.RoundTrip(out)
		r.release(m)
		var dial *net.OpError
		if err == nil && r.cloud.sticks(answer) {
			answer.Header.Add("Set-Cookie", fmt.Sprintf("%s=%d; Path=/; HttpOnly; Secure", vcapID, index))
		}
		if err == nil || !errors.As(err, &dial) || dial.Op != "dial" {
			return answer, err
		}
		asked = anyInstance
	}
	return nil, errors.New("no instance listens")
}

// asksFor returns the index of the instance to which Cloud Foundry's router has to send a request.
func (c *cloud) asksFor(request *http.Request) int {
	if !c.choosable {
		return anyInstance
	}
	_, index, _ := strings.Cut(request.Header.Get("X-Cf-App-Instance"), ":")
	if _, err := request.Cookie(stickyCookie); err == nil && index == "" {
		if id, err := request.Cookie(vcapID); err == nil {
			index = id.Value
		}
	}
	if n, err := strconv.Atoi(index); err == nil {
		return n
	}
	return anyInstance
}

// sticks reports whether the visitor of an answer stays with the instance that gave it.
func (c *cloud) sticks(answer *http.Response) bool {
	return c.choosable && slices.ContainsFunc(answer.Cookies(), func(k *http.Cookie) bool { return k.Name == stickyCookie })
}

// take returns the instance of this index, or for anyInstance the next one.
func (r *cloudRouter) take(index int) (int, *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index == anyInstance {
		index = r.next % len(r.members)
		r.next++
	}
	m := r.members[index]
	m.active++
	return index, m
}

func (r *cloudRouter) release(m *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.active--
}

// replace gives an instance's place to another one, and returns when no request is on its way to the old one.
func (r *cloudRouter) replace(t testing.TB, index int, with *instance) {
	t.Helper()
	r.mu.Lock()
	before := r.members[index]
	r.members[index] = &place{instance: with}
	r.mu.Unlock()
	redistest.Wait(t, "the requests of the old instance", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return before.active == 0
	})
}

// lastID returns the id of the last request.
func (r *cloudRouter) lastID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[len(r.ids)-1]
}

// newBrowser returns a visitor for whom the router is the site.
func (r *cloudRouter) newBrowser(t testing.TB) *browser {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r.secured.Certificate())
	b := newBrowser(t)
	transport := b.client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		server := r.plain
		if strings.HasSuffix(address, ":443") {
			server = r.secured
		}
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return b
}
