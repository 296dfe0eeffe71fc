// Package handlers is the app's URL surface: what each address answers, and the rules that hold for all of them.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/static"
	"visit-counter/templates"
)

// Options hold what the handlers need to know besides what the pages show.
type Options struct {
	Check          func(context.Context) error // says why Redis cannot keep sessions now; not called without a store
	Timeout        time.Duration               // the longest that one request may wait for Redis
	HTTPS          bool                        // redirect http to https, and say so for the future (HSTS)
	TrustedProxies []netip.Prefix              // whose X-Forwarded-Proto is believed; empty: nobody's
	Draining       func() bool                 // reports whether the process has begun to stop
	Stop           func()                      // makes it begin; POST /stop calls it after its answer
}

// app is what all handlers share.
type app struct {
	log   *slog.Logger
	pages *templates.Pages
	Options
}

// New returns the app as one handler. store is a redisstore.Store, or nil where no Redis is configured: then the page
// says what to do. POST /stop is there if the pages offer it.
func New(log *slog.Logger, pages *templates.Pages, store sessions.Store, o Options) http.Handler {
	a := &app{log, pages, o}
	engine := gin.New()
	engine.RedirectTrailingSlash = false // both would build a Location from client input
	engine.RedirectFixedPath = false
	engine.HandleMethodNotAllowed = true
	engine.Use(a.logRequests, gin.CustomRecoveryWithWriter(nil, a.panicked), securityHeaders(o.HTTPS), a.closeWhileDraining,
		ignoreBody, a.redirectToHTTPS)

	session := sessions.Sessions(pages.CookieName, store)
	engine.GET("/", a.refusePrefetch, a.requireRedis, session, a.home())
	engine.HEAD("/", homeHead)
	engine.POST("/reset", a.sameOrigin, a.requireRedis, session, a.reset)
	if pages.DemoControls {
		engine.POST("/stop", a.sameOrigin, a.stop)
	}
	read := []string{http.MethodGet, http.MethodHead}
	engine.Match(read, "/healthz", a.healthz)
	engine.Match(read, "/readyz", a.readyz)
	for _, file := range static.All {
		engine.Match(read, file.URL, gin.WrapH(file))
	}
	engine.NoRoute(a.problemHandler(templates.NotFound()))
	engine.NoMethod(a.problemHandler(templates.MethodNotAllowed()))
	return engine
}
