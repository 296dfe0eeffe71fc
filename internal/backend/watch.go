package backend

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisfault"
)

// checkEvery is how often the watcher checks whether a Redis that was lost is back.
const checkEvery = 250 * time.Millisecond

// watcher retries commands, and logs when Redis comes and goes: once per change, however many requests notice. Only a check
// decides; a command that fails merely triggers one, so that a bad moment of some requests, or of one node among several,
// is not logged as an outage.
type watcher struct {
	passThrough
	timeout time.Duration // of one check
	log     *slog.Logger

	doubt    chan struct{} // capacity 1; a value means: check now
	failures atomic.Int64  // commands that failed since the last change
}

func newWatcher(timeout time.Duration, log *slog.Logger) *watcher {
	return &watcher{timeout: timeout, log: log, doubt: make(chan struct{}, 1)}
}

type state int

const (
	unknown state = iota
	connected
	lost
)

// run checks at once, whenever a command has failed, and at intervals while Redis is away, until ctx ends.
func (w *watcher) run(ctx context.Context, check func(context.Context) error) {
	state := unknown
	var since time.Time // when it was lost
	for {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, w.timeout)
		err := check(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && state != lost:
			state, since = lost, began
			fault := redisfault.Explain(err)
			w.log.Error("redis lost", slog.String("err", fault.Wrong), slog.String("hint", fault.Todo))
		case err == nil && state == unknown:
			state = connected
			w.log.Info("redis connected")
		case err == nil && state == lost:
			state = connected
			w.log.Info("redis back", slog.String("after", time.Since(since).Round(time.Millisecond).String()),
				slog.Int64("failures", w.failures.Load()))
		}
		doubt, again := w.doubt, (<-chan time.Time)(nil)
		if state == lost {
			doubt, again = nil, time.After(checkEvery)
		} else {
			w.failures.Store(0)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-doubt:
		}
	}
}

// ProcessHook retries a command where that may help, and observes the outcome.
func (w *watcher) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if isGreeting(cmd) { // the command that waits for it is repeated
			return next(ctx, cmd)
		}
		err := repeat(ctx, func() error { return next(ctx, cmd) })
		w.observe(err)
		return err
	}
}

// observe takes the outcome of each command, after its retries.
func (w *watcher) observe(err error) {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return
	}
	w.failures.Add(1)
	select {
	case w.doubt <- struct{}{}:
	default:
	}
}
