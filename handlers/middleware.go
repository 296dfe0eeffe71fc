package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"visit-counter/templates"
)

const (
	failureKey     = "visit-counter/failure" // in a gin.Context: the error that the request's log line names
	maxLogged      = 128                     // bytes of a text from outside in a log line
	unmatchedRoute = "unmatched"
	bodyTime       = time.Second // for how long a body is read that nobody wants
)

// logged writes one line per request. Paths, queries and header values are not in it, but for the router's request
// id: they are the client's to choose, and may hold what nobody should read later.
func (a *App) logged() gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		c.Next()
		route := c.FullPath()
		if route == "" {
			route = unmatchedRoute
		}
		attrs := make([]slog.Attr, 0, 7)
		attrs = append(attrs,
			slog.String("method", clip(c.Request.Method)),
			slog.String("route", route),
			slog.Int("status", c.Writer.Status()),
			slog.String("duration", time.Since(start).Round(time.Microsecond).String()),
			slog.String("instance", a.Instance))
		if _, id := routerID(c.Request); id != "" {
			attrs = append(attrs, slog.String("request_id", clip(id)))
		}
		level := slog.LevelInfo
		if err, ok := c.Get(failureKey); ok {
			level = slog.LevelError
			attrs = append(attrs, slog.Any("err", err))
		}
		a.Log.LogAttrs(c.Request.Context(), level, "request", attrs...)
	}
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

func clip(text string) string { return text[:min(len(text), maxLogged)] }

// recovered answers a request whose handler panicked. The stack goes to the log, the request does not.
func (a *App) recovered() gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			a.Log.LogAttrs(c.Request.Context(), slog.LevelError, "panic",
				slog.String("cause", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler) // the answer is broken: so that the client sees it
			}
			a.problem(c, templates.Internal())
		}()
		c.Next()
	}
}

// secured sets the headers that every answer has (OWASP Secure Headers, ASVS 5.0 V3.4). A static file's allow caching
// (and a range of one that is refused says nothing of it), and a page has one more.
func (a *App) secured() gin.HandlerFunc {
	headers := map[string][]string{
		"Content-Security-Policy": {"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
			"connect-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"},
		"X-Content-Type-Options":       {"nosniff"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		// no-referrer would make browsers send "Origin: null" with the page's own forms
		"Referrer-Policy": {"same-origin"},
		"Cache-Control":   {"no-store"},
	}
	if a.HTTPS {
		headers["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return func(c *gin.Context) {
		answer := c.Writer.Header()
		maps.Copy(answer, headers)
	}
}

// closed ends the connection with the answer where nothing should come on it any more: while the process stops, so
// that a router takes another instance for its next request; and after a request with a body, which no address here
// takes, so that the answer does not wait for a body that may be huge, or never come.
func (a *App) closed() gin.HandlerFunc {
	return func(c *gin.Context) {
		body := c.Request.ContentLength != 0
		if body || a.Draining() {
			c.Header("Connection", "close")
		}
		if body {
			// For a moment it is read and dropped: a client that is cut off while it sends may miss the answer.
			_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(bodyTime)) // tests' writers have none
		}
	}
}

// redirected sends a browser that came to the platform's router by http to https. Health checks and whatever else
// comes without the router's header are served as they are.
func (a *App) redirected(proxies []netip.Prefix) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := c.Request
		if !a.HTTPS || !trusted(proxies, r.RemoteAddr) || lastValue(r.Header, "X-Forwarded-Proto") != "http" ||
			r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			return
		}
		c.Abort()
		uri := r.URL.RequestURI()
		if !plainHost(r.Host) || !strings.HasPrefix(uri, "/") { // without the slash it would prolong the host's name
			c.Status(http.StatusBadRequest)
			return
		}
		c.Header("Location", "https://"+r.Host+uri)
		c.Status(http.StatusPermanentRedirect)
	}
}

// lastValue returns what the nearest proxy has put into a header that each proxy appends to.
func lastValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return ""
	}
	parts := strings.Split(values[len(values)-1], ",")
	return strings.ToLower(strings.TrimSpace(parts[len(parts)-1]))
}

// plainHost reports whether host is a name or an address, perhaps with a port, and nothing else.
func plainHost(host string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
	return host != "" && strings.Trim(host, allowed) == ""
}

func parseProxies(cidrs []string) ([]netip.Prefix, error) {
	proxies := make([]netip.Prefix, 0, len(cidrs))
	for _, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES: %w", err)
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
}

func trusted(proxies []netip.Prefix, remoteAddr string) bool {
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// bounded gives the request's work with Redis its own time: it ends when a.Timeout is all but over, so that the answer
// is there in time, and goes on when the browser has gone away, because a command that is cancelled halfway costs a
// connection.
func (a *App) bounded() gin.HandlerFunc {
	limit := a.Timeout * 9 / 10
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), limit)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// errNoRedis is what is said of a request that needs a Redis where none is configured.
var errNoRedis = errors.New("no Redis is configured")

// configured refuses what needs a Redis where none is configured.
func (a *App) configured() gin.HandlerFunc {
	return func(c *gin.Context) {
		if a.Missing != nil {
			a.logFailure(c, errNoRedis)
			a.problem(c, *a.Missing)
		}
	}
}

// prefetched refuses a page that a browser loads before anybody asked for it. The browser asks again at the click.
func (a *App) prefetched() gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
			purpose := strings.ToLower(strings.TrimSpace(c.Request.Header.Get(name)))
			if strings.HasPrefix(purpose, "prefetch") {
				a.problem(c, templates.Prefetch())
				return
			}
		}
	}
}

// sameOrigin refuses a POST that another site made the browser send (OWASP ASVS 5.0, 3.5.1). Programs that are no
// browsers send neither Origin nor Sec-Fetch-Site, and pass.
func (a *App) sameOrigin() gin.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		if err := protection.Check(c.Request); err != nil {
			a.problem(c, templates.Forbidden())
		}
	}
}
