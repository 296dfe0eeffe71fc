package backend

import (
	"context"
	"math/rand/v2"
	"time"

	"visit-counter/internal/redisfault"
)

// The pauses between repetitions grow from the one to the other. They are random, so that what failed together does
// not come back together.
const (
	minPause = 10 * time.Millisecond
	maxPause = 80 * time.Millisecond
)

// repeat tries again while an error is one that passes and at least half of ctx's time is left: so a short trouble is
// waited out, and the error of a long one is its own and not that of a deadline. Without a deadline it tries once. It
// does what go-redis would do, which also repeats the greeting, on connections that are closed. Repeating is safe
// because the store's commands are.
func repeat(ctx context.Context, try func() error) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return try()
	}
	last := deadline.Add(-time.Until(deadline) / 2)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := try()
		wait := pause/2 + rand.N(pause)
		if err == nil || !redisfault.Explain(err).Passes || time.Now().Add(wait).After(last) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}
