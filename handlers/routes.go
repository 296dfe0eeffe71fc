// Package handlers is the app's whole URL surface: what each address answers, and the rules that hold for all of
// them.
package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/static"
	"visit-counter/templates"
)

// App is what the handlers need. All of it is set before [App.Routes] and never changes afterwards.
type App struct {
	Log     *slog.Logger
	Pages   *templates.Pages
	Store   sessions.Store              // a redisstore.Store; nil if Missing is set
	Ping    func(context.Context) error // says why Redis cannot keep sessions now; not called if Missing is set
	Timeout time.Duration               // the longest that one request may wait for Redis

	Instance   string    // the name of this process, shown to everybody
	Started    time.Time // when it started: with Instance, it tells the process from every other
	StoreName  string    // "redis", "memory", or "none" if Missing is set
	CookieName string    // with the __Host- prefix where it has one

	HTTPS          bool               // redirect http to https, and say so for the future (HSTS)
	TrustedProxies []string           // CIDRs whose X-Forwarded-* headers are believed; empty: nobody's
	Missing        *templates.Problem // if set, no Redis is configured, and this page says what to do
	Stop           func()             // if set, POST /stop is there, and calls it after its answer
	Draining       func() bool        // reports whether the process has begun to stop
}

// Routes returns the app as one handler.
func (a *App) Routes() (http.Handler, error) {
	engine := gin.New()
	engine.RedirectTrailingSlash = false // both would build a Location from what the client sends
	engine.RedirectFixedPath = false
	engine.HandleMethodNotAllowed = true
	if err := engine.SetTrustedProxies(a.TrustedProxies); err != nil {
		return nil, fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	proxies, err := parseProxies(a.TrustedProxies)
	if err != nil {
		return nil, err
	}
	engine.Use(a.logged(), a.recovered(), a.secured(), a.closed(), a.redirected(proxies))

	session := sessions.Sessions(a.CookieName, a.Store)
	engine.GET("/", a.prefetched(), a.configured(), a.bounded(), session, a.home())
	engine.HEAD("/", a.homeHead())
	engine.POST("/reset", a.sameOrigin(), a.configured(), a.bounded(), session, a.reset())
	if a.Stop != nil {
		engine.POST("/stop", a.sameOrigin(), a.stop())
	}
	engine.GET("/healthz", a.healthz())
	engine.HEAD("/healthz", a.healthz())
	engine.GET("/readyz", a.bounded(), a.readyz())
	engine.HEAD("/readyz", a.bounded(), a.readyz())
	for _, file := range static.All {
		engine.GET(file.URL, gin.WrapH(file))
		engine.HEAD(file.URL, gin.WrapH(file))
	}
	engine.NoRoute(a.problemHandler(templates.NotFound()))
	engine.NoMethod(a.problemHandler(templates.MethodNotAllowed()))
	return engine, nil
}
