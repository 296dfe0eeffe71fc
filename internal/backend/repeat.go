package backend

import (
	"context"
	"math/rand/v2"
	"time"

	"visit-counter/internal/redisfault"
)

// The pauses between retries grow from minPause to maxPause. They are random, so that commands that failed together do not
// come back together.
const (
	minPause = 10 * time.Millisecond
	maxPause = 80 * time.Millisecond
)

// repeat retries while the error is temporary and at least half of ctx's time is left. So it waits out a short outage, and
// in a long one the caller gets Redis' own error instead of an exceeded deadline. Without a deadline it tries once. It
// replaces the retries of go-redis, which also repeat the greeting, on connections that are closed. Repeating is safe because
// the store's commands are.
func repeat(ctx context.Context, try func() error) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return try()
	}
	last := deadline.Add(-time.Until(deadline) / 2)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := try()
		if err == nil || !redisfault.Explain(err).Passes {
			return err
		}
		wait := pause/2 + rand.N(pause)
		if time.Now().Add(wait).After(last) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}
