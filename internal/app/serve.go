// Package app is one instance of the app, from its configuration to its end.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"

	"visit-counter/handlers"
	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/redisstore"
	"visit-counter/templates"
)

// Serve runs one instance: configuration, listen, Redis, pages, store, routes, serve, drain.
func Serve(ctx context.Context, getenv func(string) string, out io.Writer) error {
	started := time.Now().UTC().Truncate(time.Millisecond)
	cfg, err := config.Load(getenv)
	if err != nil {
		return fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	log := newLogger(cfg, out)
	warn(log, cfg.Warnings)
	limitMemory(cfg, getenv)
	listener, err := openPort(cfg.Port)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // already closed after a drain

	redis, err := backend.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer redis.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var draining atomic.Bool
	routes, err := newRoutes(cfg, redis, log, started, draining.Load, stop)
	if err != nil {
		return err
	}
	log.Info("serving", slog.String("url", "http://localhost:"+strconv.Itoa(cfg.Port)),
		slog.String("instance", cfg.Instance), slog.String("store", string(redis.Store)),
		slog.String("redis", redis.Redis.Source), slog.String("address", redis.Redis.Address()))
	return serveUntil(ctx, listener, newServer(routes, cfg.RedisTimeout, log), &draining, log)
}

// newRoutes puts together what answers requests.
func newRoutes(cfg config.Config, b *backend.Backend, log *slog.Logger, started time.Time, draining func() bool, stop func()) (http.Handler, error) {
	if os.Getenv(gin.EnvGinMode) == "" {
		gin.SetMode(gin.ReleaseMode)
	}
	pages, err := templates.New(settings(cfg, b, started))
	if err != nil {
		return nil, err
	}
	options := handlers.Options{
		Timeout: cfg.RedisTimeout, HTTPS: cfg.Secure, TrustedProxies: cfg.TrustedProxies, Draining: draining, Stop: stop,
	}
	if b.Store == config.StoreNone {
		log.Error("no Redis is configured: every visit is refused until there is one",
			slog.String("commands", strings.Join(templates.NoRedis(cfg.Platform, cfg.AppName).Commands, "; ")))
		return handlers.New(log, pages, nil, options), nil
	}
	store, err := newStore(cfg, b)
	if err != nil {
		return nil, err
	}
	options.Check = store.Check
	b.Watch(store.Check)
	return handlers.New(log, pages, store, options), nil
}

// newStore returns the session store.
func newStore(cfg config.Config, b *backend.Backend) (*redisstore.Store, error) {
	options := []redisstore.Option{
		redisstore.WithPrefix(cfg.KeyPrefix),
		redisstore.WithTTL(cfg.SessionTTL),
		redisstore.WithTimeout(cfg.RedisTimeout * 9 / 10), // the rest is for the answer
	}
	if cfg.SessionMaxLifetime > 0 {
		options = append(options, redisstore.WithMaxLifetime(cfg.SessionMaxLifetime))
	}
	store, err := redisstore.New(b.Client, cfg.SessionSecrets, options...)
	if err != nil {
		return nil, err
	}
	store.Options(sessions.Options{
		Path: "/", MaxAge: int((cfg.SessionTTL + time.Second - 1) / time.Second), HttpOnly: true, Secure: cfg.Secure,
		SameSite: http.SameSiteLaxMode,
	})
	return store, nil
}
