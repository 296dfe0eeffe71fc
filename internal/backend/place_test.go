package backend

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// ended is a context that has ended but whose Done is never closed: as if the visit saw the end of its batch first.
type ended struct{ context.Context }

func (ended) Err() error { return context.Canceled }

func TestAScriptThatWasNotSentIsAnError(t *testing.T) {
	target := redistest.StartWith(t, redisserver.Options{Password: "a-p4ssword"})
	for name, test := range map[string]struct {
		ctx      context.Context
		password string
		want     func(error) bool
	}{
		"its context has ended": {
			ended{context.Background()}, "a-p4ssword", func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"Redis rejects the connection": {
			context.Background(), "another", func(err error) bool { return redis.HasErrorPrefix(err, "WRONGPASS") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: target.Addr(), Password: test.password, MaxRetries: -1})
			defer func() { _ = client.Close() }()
			b := &batcher{client: client, places: 1, onWire: 1}
			send := b.ProcessHook(func(context.Context, redis.Cmder) error { panic("all places are taken") })
			cmd := redis.NewCmd(test.ctx, "evalsha", "0123", 0)
			answered := make(chan error)
			go func() { answered <- send(test.ctx, cmd) }()
			redistest.Wait(t, "the script to wait", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.waiting) == 1
			})
			b.leave()
			if err := <-answered; !test.want(err) {
				t.Errorf("the script returned %v, %v", cmd.Val(), err)
			}
		})
	}
}

func TestAScriptThatPanicsGivesItsPlaceBack(t *testing.T) {
	b := &batcher{places: 1}
	send := b.ProcessHook(func(context.Context, redis.Cmder) error { panic("a hook's mistake") })
	func() {
		defer func() { _ = recover() }()
		_ = send(t.Context(), redis.NewCmd(t.Context(), "evalsha", "0123", 0))
	}()
	if b.onWire != 0 {
		t.Errorf("%d places are taken, want 0", b.onWire)
	}
}
