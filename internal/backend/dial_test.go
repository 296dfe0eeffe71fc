package backend_test

import (
	"context"
	"testing"
	"time"

	"visit-counter/internal/redistest"
)

func TestTheFirstCommandAfterRedisIsBackSucceeds(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL(), "REDIS_POOL_SIZE=2")
	for round := range 5 {
		server.Kill()
		for range 4 { // more failures than the pool has places
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if err := b.Client.Ping(ctx).Err(); err == nil {
				t.Error("a killed Redis answers")
			}
			cancel()
		}
		redistest.Restart(t, server)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // less than the second between go-redis' checks
		if err := b.Client.Ping(ctx).Err(); err != nil {
			t.Errorf("round %d: the first command after the restart: %v", round, err)
		}
		cancel()
	}
}
