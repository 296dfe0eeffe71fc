// Package poll waits for conditions by checking them again and again.
package poll

import (
	"context"
	"time"
)

const interval = 10 * time.Millisecond

// Until calls met every 10 ms. It returns nil as soon as met returns true, or the cause if ctx ends first. It calls met at
// least once, and never concurrently.
func Until(ctx context.Context, met func() bool) error {
	for !met() {
		if Pause(ctx, interval); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
