package backend

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	// mostOnWire is how many scripts or batches are on the wire at once, however many connections there are: Redis does
	// one script after the other anyway, and what waits meanwhile makes the next batch larger.
	mostOnWire = 4
	// mostTogether bounds a batch: all its scripts wait for the last one's answer.
	mostTogether = 16
)

// batcher sends visits that would have to wait for a connection together, as one pipeline over the next connection
// that becomes free: few connections then carry many visits, with fewer system calls on both sides. A visit that finds
// a place on the wire goes at once and alone.
//
// A visit in a batch is as good as one alone: it has its own answer and its own error, waits no longer than its own
// context allows, and is repeated, if at all, by itself. Only scripts are sent together; they are safe to repeat.
type batcher struct {
	client *redis.Client
	most   int // scripts or batches on the wire at once

	mu      sync.Mutex
	onWire  int
	waiting []*waiter
}

func newBatcher(client *redis.Client) *batcher {
	return &batcher{client: client, most: min(mostOnWire, client.Options().PoolSize)}
}

// waiter is a script that waits for its batch. The batch gets a command of its own, because whoever waits may leave
// before the answer comes.
type waiter struct {
	ctx  context.Context //nolint:containedctx // of the one call that waits
	cmd  *redis.Cmd
	done chan struct{}
}

var _ redis.Hook = (*batcher)(nil)

// DialHook changes nothing.
func (b *batcher) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing.
func (b *batcher) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook sends a script at once or with the next batch.
func (b *batcher) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		script, ok := cmd.(*redis.Cmd)
		if !ok || cmd.Name() != "evalsha" {
			return next(ctx, cmd)
		}
		w := b.enter(ctx, script)
		if w == nil {
			defer b.leave()
			return next(ctx, cmd)
		}
		select {
		case <-w.done:
			script.SetVal(w.cmd.Val())
			script.SetErr(w.cmd.Err())
		case <-ctx.Done():
			script.SetErr(ctx.Err())
		}
		return script.Err()
	}
}

// enter returns nil if the script may be sent now, else what to wait for.
func (b *batcher) enter(ctx context.Context, script *redis.Cmd) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.onWire < b.most {
		b.onWire++
		return nil
	}
	w := &waiter{ctx: ctx, cmd: redis.NewCmd(ctx, script.Args()...), done: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	return w
}

// leave lets those who wait use the place on the wire.
func (b *batcher) leave() {
	if batch := b.take(); batch != nil {
		go b.send(batch)
	}
}

// take returns those who have waited longest; if nobody waits, the place on the wire is free.
func (b *batcher) take() []*waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), mostTogether)
	if n == 0 {
		b.onWire--
		return nil
	}
	batch := slices.Clone(b.waiting[:n])
	b.waiting = slices.Delete(b.waiting, 0, n)
	return batch
}

// send sends batches for as long as somebody waits.
func (b *batcher) send(batch []*waiter) {
	for ; batch != nil; batch = b.take() {
		pipe := b.client.Pipeline()
		for _, w := range batch {
			if err := w.ctx.Err(); err != nil {
				w.cmd.SetErr(err) // nobody waits for it any more, or is about to learn so
				continue
			}
			_ = pipe.Process(w.ctx, w.cmd) // only queues it
		}
		_, err := pipe.Exec(context.Background()) // bounded by the client's timeouts
		for _, w := range batch {
			// Each command has its own error, but for that of a Redis which refuses the connection: go-redis takes
			// it for the answer to one of them.
			if w.cmd.Err() == nil && w.cmd.Val() == nil {
				w.cmd.SetErr(err)
			}
			close(w.done)
		}
	}
}
