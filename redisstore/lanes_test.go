package redisstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestALaneHandlesOneIncrementAtATimeWithGrowingNumbers(t *testing.T) {
	l := newLanes("STORE")
	take := func(id string) turn {
		t.Helper()
		turn, err := l.take(t.Context(), t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	first := take("a")
	if second := take("a"); first.field != "@STORE.0" || second.field != "@STORE.1" || second.number <= first.number {
		t.Errorf("the turns are %v and %v", first, second)
	}
	_ = first.end(nil)
	if again := take("a"); again.field != first.field || again.number <= first.number {
		t.Errorf("after %v, its lane got %v", first, again)
	}
	for _, field := range []string{"@STORE.2", "@STORE.3"} {
		if turn := take("a"); turn.field != field {
			t.Errorf("field %s, want %s", turn.field, field)
		}
	}
	for _, cancelled := range []bool{true, false} { // no lane is free
		ctx, limited := t.Context(), t.Context()
		var cancel context.CancelFunc
		want := context.DeadlineExceeded
		if cancelled {
			ctx, cancel = context.WithCancel(ctx)
			want = context.Canceled
			cancel()
		} else {
			limited, cancel = context.WithTimeout(limited, time.Millisecond)
			defer cancel()
		}
		if _, err := l.take(ctx, limited, "a"); !errors.Is(err, want) {
			t.Errorf("a fifth increment = %v, want %v", err, want)
		}
	}
}

func TestEveryLaneIsFreeInTheEnd(t *testing.T) {
	l := newLanes("STORE")
	var mu sync.Mutex
	last := make(map[chan struct{}]uint64)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%3)*50*time.Microsecond)
				turn, err := l.take(t.Context(), ctx, string(rune('a'+i%3)))
				cancel()
				if err != nil {
					continue
				}
				mu.Lock()
				if turn.number <= last[turn.free] {
					t.Errorf("number %d came after %d", turn.number, last[turn.free])
				}
				last[turn.free] = turn.number
				mu.Unlock()
				_ = turn.end(nil)
			}
		}()
	}
	wg.Wait()
	for i := range l.places {
		for _, free := range l.places[i].free {
			if len(free) != 1 {
				t.Fatal("a lane is still taken")
			}
		}
	}
	if len(last) == 0 {
		t.Error("no increment had a turn")
	}
}
