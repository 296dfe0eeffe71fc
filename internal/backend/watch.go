package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeEvery is how often a Redis that is away is asked whether it is back.
const probeEvery = 250 * time.Millisecond

// watcher says in the log when Redis comes and goes: once per change, however many requests notice. What it says is
// what probe has found; a command that fails only makes it look, so that one bad moment of many requests, or of one
// node among several, is not told as a coming and going.
type watcher struct {
	probe    func(context.Context) error
	patience time.Duration // for one probe
	log      *slog.Logger

	suspicion chan struct{} // holds at most one
	failures  atomic.Int64  // commands that failed since the last change

	state state     // of run alone
	since time.Time // when it was lost; of run alone
}

type state int

const (
	unknown state = iota
	connected
	lost
)

// run looks at once, whenever a command has failed, and at intervals while Redis is away, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.look(ctx)
		var again <-chan time.Time
		suspicion := w.suspicion
		if w.state == lost {
			again, suspicion = time.After(probeEvery), nil
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-suspicion:
		}
	}
}

// look asks Redis and logs what has changed.
func (w *watcher) look(ctx context.Context) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	err := w.probe(limited)
	switch {
	case ctx.Err() != nil:
	case err != nil && w.state != lost:
		w.state, w.since = lost, began
		w.log.Error("redis lost", slog.Any("err", err))
	case err == nil && w.state == unknown:
		w.state = connected
		w.log.Info("redis connected")
	case err == nil && w.state == lost:
		w.state = connected
		w.log.Info("redis back", slog.String("after", time.Since(w.since).Round(time.Millisecond).String()),
			slog.Int64("failures", w.failures.Load()))
	}
	if w.state == connected {
		w.failures.Store(0)
	}
}

// note is told the outcome of each command, after its repetitions.
func (w *watcher) note(err error) {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return
	}
	w.failures.Add(1)
	select {
	case w.suspicion <- struct{}{}:
	default:
	}
}

var _ redis.Hook = (*watcher)(nil)

// DialHook changes nothing: a failed dial fails a command.
func (w *watcher) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook repeats each command where that may help, and notes its outcome.
func (w *watcher) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hello" { // the greeting of a connection, on behalf of a command
			err := next(ctx, cmd)
			if redis.IsMaxClientsError(err) {
				return errMaxClients
			}
			return err
		}
		err := repeat(ctx, func() error { return next(ctx, cmd) })
		w.note(err)
		return err
	}
}

// ProcessPipelineHook changes nothing: what is sent together, the batcher sends, on behalf of single commands.
func (w *watcher) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// libraryLog passes on what go-redis says of itself, for those who ask for details: whatever matters of it comes back
// as an error too.
type libraryLog struct{ log *slog.Logger }

// Printf is called by go-redis.
func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "go-redis", slog.String("message", fmt.Sprintf(format, v...)))
	}
}
