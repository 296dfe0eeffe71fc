// Package poll waits for conditions that nothing signals.
package poll

import (
	"context"
	"time"
)

const interval = 10 * time.Millisecond

// Until calls met again and again. It returns nil as soon as that is true, or the cause of ctx's end. It calls met at least
// once, and never twice at the same time.
func Until(ctx context.Context, met func() bool) error {
	for !met() {
		if Pause(ctx, interval); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Pause returns after d, or when ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
