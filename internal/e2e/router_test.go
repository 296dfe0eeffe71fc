package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/visitor"
)

// site is the host name of the app behind a platform's router: one for which httptest has a certificate.
const site = "https://example.com"

// Cloud Foundry's router sends a visitor who has the first cookie to the instance that the second one names.
const (
	stickyCookie = "JSESSIONID"
	vcapID       = "__VCAP_ID__"
)

// routerIdleTime is how long the router keeps idle connections. An instance closes them a second after SIGTERM: on a busy
// machine, a router that kept them longer could send a request at that moment.
const routerIdleTime = time.Second / 2

// router forwards requests to the instances in turn. It skips an instance that it cannot connect to, and never sends a
// request twice. A request that no instance answers fails the test.
type router struct {
	http.Handler
	routerOptions
	url       string // without TLS
	secured   *httptest.Server
	transport *http.Transport
	hosts     []string
	next      atomic.Int64
	lastID    atomic.Value // of the last request, as in the platform's log
}

// routerOptions are the differences between the platforms' routers.
type routerOptions struct {
	newConnections bool   // one for each request
	requestID      string // header with the request's id
	passesProto    bool   // believes a client's X-Forwarded-Proto
	sticky         bool   // lets a client choose an instance, or stay with one
}

func newRouter(t testing.TB, options routerOptions, instances ...*instance) *router {
	t.Helper()
	r := &router{routerOptions: options, transport: http.DefaultTransport.(*http.Transport).Clone()}
	r.requestID = cmp.Or(r.requestID, "X-Request-Id")
	r.transport.MaxIdleConnsPerHost = 64
	r.transport.IdleConnTimeout = routerIdleTime
	r.transport.DisableKeepAlives = options.newConnections
	for _, i := range instances {
		r.hosts = append(r.hosts, strings.TrimPrefix(i.url, "http://"))
	}
	r.Handler = &httputil.ReverseProxy{Rewrite: r.rewrite, Transport: r, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("router: %v", err)
		}
		w.WriteHeader(http.StatusBadGateway)
	}}
	plain, secured := httptest.NewServer(r), httptest.NewTLSServer(r)
	t.Cleanup(plain.Close)
	t.Cleanup(secured.Close)
	t.Cleanup(r.transport.CloseIdleConnections)
	r.url, r.secured = plain.URL, secured
	return r
}

// rewrite adds the headers that the platforms' routers add. All of them append to X-Forwarded-For.
func (r *router) rewrite(request *httputil.ProxyRequest) {
	out := request.Out.Header
	out["X-Forwarded-For"] = request.In.Header["X-Forwarded-For"]
	request.SetXForwarded()
	out.Del("X-Forwarded-Host")
	if sent := request.In.Header.Get("X-Forwarded-Proto"); sent != "" && r.passesProto {
		out.Set("X-Forwarded-Proto", sent)
	}
	id := strings.ToLower(rand.Text())
	out.Set(r.requestID, id)
	r.lastID.Store(id)
	request.Out.Host = request.In.Host
}

// RoundTrip sends a request to the instance that it asks for, or to the one whose turn it is, or to the next one that
// listens.
func (r *router) RoundTrip(request *http.Request) (*http.Response, error) {
	first, chosen := r.chosen(request)
	if !chosen {
		first = int(r.next.Add(1) - 1)
	}
	// An http.Transport retries by itself, unless the request has a body that it cannot read again. This
	// one is empty, because no test sends a body.
	request.Body = struct{ io.ReadCloser }{http.NoBody}
	var (
		answer *http.Response
		err    error
	)
	for attempt := range r.hosts {
		index := (first + attempt) % len(r.hosts)
		request.URL.Scheme, request.URL.Host = "http", r.hosts[index]
		answer, err = r.transport.RoundTrip(request)
		if err == nil && r.sticky && slices.ContainsFunc(answer.Cookies(), func(c *http.Cookie) bool { return c.Name == stickyCookie }) {
			answer.Header.Add("Set-Cookie", fmt.Sprintf("%s=%d; Path=/; HttpOnly; Secure", vcapID, index))
		}
		var failed *net.OpError
		if !errors.As(err, &failed) || failed.Op != "dial" {
			break
		}
	}
	return answer, err
}

// chosen returns the index of the instance to which Cloud Foundry's router must send a request.
func (r *router) chosen(request *http.Request) (index int, ok bool) {
	_, text, _ := strings.Cut(request.Header.Get("X-Cf-App-Instance"), ":")
	if _, err := request.Cookie(stickyCookie); err == nil && text == "" {
		if id, err := request.Cookie(vcapID); err == nil {
			text = id.Value
		}
	}
	index, err := strconv.Atoi(text)
	return index, err == nil && r.sticky
}

// newVisitor returns a visitor for whom the router is at [site].
func (r *router) newVisitor(t testing.TB) *visitor.Visitor {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r.secured.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host := r.secured.Listener.Addr().String()
		if strings.HasSuffix(address, ":80") {
			host = strings.TrimPrefix(r.url, "http://")
		}
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return visitor.New(site, searched{transport, t})
}
