package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/internal/redistest"
)

// BenchmarkVisit measures a returning visitor's request from the router to the last byte of the answer, with a real Redis
// but without the HTTP server.
func BenchmarkVisit(b *testing.B) {
	routes := routesOf(b)
	for name, accept := range map[string]string{"HTML": "text/html", "JSON": "application/json"} {
		b.Run(name, func(b *testing.B) {
			first := httptest.NewRecorder()
			routes.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/", nil))
			if first.Code != http.StatusOK {
				b.Fatalf("GET / = %d", first.Code)
			}
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header.Set("Accept", accept)
			request.AddCookie(first.Result().Cookies()[0])
			b.ReportAllocs()
			for b.Loop() {
				answer := discard{header: make(http.Header)}
				routes.ServeHTTP(&answer, request.Clone(b.Context()))
				if answer.status != http.StatusOK {
					b.Fatalf("GET / = %d", answer.status)
				}
			}
		})
	}
}

// routesOf returns the app as serve builds it, with a new Redis.
func routesOf(b *testing.B) http.Handler {
	b.Helper()
	env := map[string]string{"REDIS_URL": redistest.Start(b).URL()}
	cfg, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) // writing the line is part of a visit
	redis, err := backend.Open(b.Context(), cfg, log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(redis.Close)
	routes, err := newRoutes(cfg, redis, log, time.Now(), func() bool { return false }, func() {})
	if err != nil {
		b.Fatal(err)
	}
	return routes
}

// discard is a ResponseWriter that keeps only the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
