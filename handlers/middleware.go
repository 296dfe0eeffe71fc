package handlers

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/templates"
)

// logRequests writes one line per request. It leaves out paths, queries and header values except the router's request id:
// clients choose them, and may put secrets in them.
func (a *app) logRequests(c *gin.Context) {
	start := time.Now()
	c.Next()
	status := c.Writer.Status()
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", clip(c.Request.Method)),
		slog.String("route", cmp.Or(c.FullPath(), "unmatched")),
		slog.Int("status", status),
		slog.String("duration", time.Since(start).Round(time.Microsecond).String()),
		slog.String("instance", a.pages.Instance),
	}
	if _, id := routerID(c.Request); id != "" {
		attrs = append(attrs, slog.String("request_id", clip(id)))
	}
	// Below 500, the error is that the client left before the answer.
	if err := c.Errors.Last(); err != nil && status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("err", err.Err))
	}
	a.log.LogAttrs(c.Request.Context(), level, "request", attrs...)
}

// routerID returns the id that the platform's router gave the request, and the header in which it came.
func routerID(r *http.Request) (header, id string) {
	for _, header := range []string{"X-Request-Id", "X-Vcap-Request-Id"} {
		if id := r.Header.Get(header); id != "" {
			return header, id
		}
	}
	return "", ""
}

// routerHeader returns the header by which the platform's router shows itself, with its value masked; "" without one.
func routerHeader(r *http.Request) string {
	header, id := routerID(r)
	if id == "" {
		return ""
	}
	return header + ": " + backend.Mask(id)
}

// clip shortens a text from outside for a log line, to at most 128 bytes.
func clip(text string) string {
	const maxLogged = 128
	return strings.ToValidUTF8(text[:min(len(text), maxLogged)], "")
}

// panicked answers a request whose handler panicked. It logs the stack, but nothing of the request.
func (a *app) panicked(c *gin.Context, cause any) {
	a.log.LogAttrs(c.Request.Context(), slog.LevelError, "panic",
		slog.String("cause", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // half an answer is out: cut the connection, so that the client notices
	}
	a.problem(c, templates.Internal())
}

// securityHeaders sets the headers that every answer has (OWASP Secure Headers, ASVS 5.0 V3.4). Static files override
// Cache-Control, and pages add one more header.
func securityHeaders(https bool) gin.HandlerFunc {
	headers := http.Header{
		"Content-Security-Policy": {"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
			"connect-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"},
		"X-Content-Type-Options":       {"nosniff"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		// no-referrer would make browsers send "Origin: null" with the page's own forms
		"Referrer-Policy": {"same-origin"},
		"Cache-Control":   {"no-store"},
	}
	if https {
		headers["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return func(c *gin.Context) { maps.Copy(c.Writer.Header(), headers) }
}

// closeWhileDraining closes the connection after the answer while the process stops, so that a router sends its next
// request to another instance.
func (a *app) closeWhileDraining(c *gin.Context) {
	if a.Draining() {
		c.Header("Connection", "close")
	}
}

// ignoreBody closes the connection after a request with a body. No route here takes one, so the answer does not wait for
// a body that may be huge or never arrive. The server still reads and drops it for a second: a client that is cut off while
// it sends may miss the answer.
func ignoreBody(c *gin.Context) {
	if c.Request.ContentLength == 0 {
		return
	}
	c.Header("Connection", "close")
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(time.Second)) // the writers of tests have no deadline
}

// redirectToHTTPS redirects browsers that reached the platform's router by http. Health checks, and requests without the
// router's header, are served as they are.
func (a *app) redirectToHTTPS(c *gin.Context) {
	r := c.Request
	if !a.HTTPS || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || !a.cameByHTTP(r) {
		return
	}
	uri := r.URL.RequestURI()
	if !plainHost(r.Host) || !strings.HasPrefix(uri, "/") { // without the slash it would extend the host name
		c.AbortWithStatus(http.StatusBadRequest)
		return
	}
	c.Header("Location", "https://"+r.Host+uri)
	c.AbortWithStatus(http.StatusPermanentRedirect)
}

// cameByHTTP reports whether the nearest proxy, if it is trusted, received the request by http. Each proxy appends to the
// header, so its own entry is the last.
func (a *app) cameByHTTP(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	trusted := func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) }
	if err != nil || !slices.ContainsFunc(a.TrustedProxies, trusted) {
		return false
	}
	schemes := strings.Split(strings.Join(r.Header.Values("X-Forwarded-Proto"), ","), ",")
	return strings.EqualFold(strings.TrimSpace(schemes[len(schemes)-1]), "http")
}

// plainHost reports whether host is nothing but a name or an address, with or without a port.
func plainHost(host string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
	return host != "" && strings.Trim(host, allowed) == ""
}

// errNoRedis is the error of a request that needs Redis where none is configured.
var errNoRedis = errors.New("no Redis is configured")

// requireRedis refuses requests that need Redis where none is configured.
func (a *app) requireRedis(c *gin.Context) {
	if a.pages.Store == config.StoreNone {
		_ = c.Error(errNoRedis)
		a.problem(c, templates.NoRedis(a.pages.Platform, a.pages.AppName))
	}
}

// refusePrefetch refuses to serve a page that the browser fetches before the user asks for it. The browser asks again at
// the click.
func (a *app) refusePrefetch(c *gin.Context) {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		purpose := strings.ToLower(strings.TrimSpace(c.GetHeader(name)))
		if strings.HasPrefix(purpose, "prefetch") || strings.HasPrefix(purpose, "preview") {
			a.problem(c, templates.Prefetch())
			return
		}
	}
}

// sameOrigin refuses a POST that another site made the browser send (OWASP ASVS 5.0, 3.5.1). Programs that are not
// browsers send neither Origin nor Sec-Fetch-Site, and pass.
func (a *app) sameOrigin(c *gin.Context) {
	if err := new(http.CrossOriginProtection).Check(c.Request); err != nil {
		a.problem(c, templates.Forbidden())
	}
}
