package backend_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/internal/redistest"
)

func TestTheFirstCommandAfterRedisIsBackSucceeds(t *testing.T) {
	server := redistest.Start(t)
	cfg, err := config.Load(func(name string) string {
		return map[string]string{"REDIS_URL": server.URL(), "REDIS_POOL_SIZE": "2"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := backend.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for round := range 5 {
		server.Kill()
		for range 4 { // more failures than the pool has places
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if err := b.Client.Ping(ctx).Err(); err == nil {
				t.Error("a Redis that is away answers")
			}
			cancel()
		}
		redistest.Restart(t, server)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // less than go-redis' second
		if err := b.Client.Ping(ctx).Err(); err != nil {
			t.Errorf("round %d: the first command after Redis is back: %v", round, err)
		}
		cancel()
	}
}
