package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeEvery is how often a Redis that is away is asked whether it is back.
const probeEvery = 250 * time.Millisecond

// watcher says in the log when Redis comes and goes: once per change, however many requests notice.
type watcher struct {
	log   *slog.Logger
	probe func() // asks Redis until it answers

	mu       sync.Mutex
	state    state
	since    time.Time // of the first failure
	failures int
}

type state int

const (
	unknown state = iota
	connected
	lost
)

// watch follows what client's commands learn about Redis, and asks it once right now. stop ends what it does by
// itself.
func watch(client redis.UniversalClient, log *slog.Logger) (stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	client.AddHook(&watcher{log: log, probe: func() { probe(ctx, client) }})
	go func() { _ = client.Ping(ctx).Err() }() // the hook sees its outcome
	return stop
}

var _ redis.Hook = (*watcher)(nil)

// DialHook does nothing: a failed dial fails a command.
func (w *watcher) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook notes the outcome of each command, its repetitions included.
func (w *watcher) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		w.note(err)
		return err
	}
}

// ProcessPipelineHook does the same for a pipeline.
func (w *watcher) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		w.note(err)
		return err
	}
}

func (w *watcher) note(err error) {
	if away(err) {
		w.failed(err)
		return
	}
	w.answered()
}

// away reports whether an error means that this Redis cannot keep sessions now. Other error replies are an answer.
func away(err error) bool {
	var reply redis.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed):
		return false
	case !errors.As(err, &reply):
		return true
	}
	for _, prefix := range []string{
		"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "NOPERM", "OOM", "MISCONF",
		"max number of clients", "invalid password",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

func (w *watcher) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.state {
	case unknown:
		w.log.Info("redis connected")
	case lost:
		w.log.Info("redis back",
			slog.Duration("after", time.Since(w.since).Round(time.Millisecond)), slog.Int("failures", w.failures))
	case connected:
		return
	}
	w.state, w.failures = connected, 0
}

func (w *watcher) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures++
	if w.state == lost {
		return
	}
	w.state, w.since = lost, time.Now()
	w.log.Error("redis lost", slog.Any("err", err))
	go w.probe()
}

// probe asks until Redis answers, so that its return is noticed without a visitor.
func probe(ctx context.Context, client redis.UniversalClient) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if client.Ping(ctx).Err() == nil {
			return
		}
	}
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
