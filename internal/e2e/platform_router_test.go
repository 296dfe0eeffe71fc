package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// site is where visitors find the app: a name that the certificate of httptest is made for.
const site = "example.com"

// Cloud Foundry's router keeps a visitor who has the first cookie with the instance that the second one names.
const (
	stickyCookie = "JSESSIONID"
	vcapID       = "__VCAP_ID__"
)

// cloudRouter stands in front of the instances as a platform's does: it ends TLS, opens a connection for each request,
// and adds its headers.
type cloudRouter struct {
	*router
	cloud          *cloud
	plain, secured *httptest.Server
	lastID         atomic.Value // of the last request, as the platform's log would have it
}

func newCloudRouter(t testing.TB, c *cloud, instances ...*instance) *cloudRouter {
	t.Helper()
	r := &cloudRouter{router: newRouter(&http.Transport{DisableKeepAlives: true}, instances...), cloud: c}
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
	r.lastID.Store(id)
	request.Out.Host = request.In.Host
}

// RoundTrip sends a request to the instance that it asks for, or else to the next one that listens.
func (r *cloudRouter) RoundTrip(request *http.Request) (*http.Response, error) {
	index, answer, err := r.send(request, r.cloud.asksFor(request))
	if err == nil && r.cloud.sticks(answer) {
		answer.Header.Add("Set-Cookie", fmt.Sprintf("%s=%d; Path=/; HttpOnly; Secure", vcapID, index))
	}
	return answer, err
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
