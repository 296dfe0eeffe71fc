package visitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"visit-counter/internal/poll"
)

// Tally adds up the results of one session's visits. It is safe for concurrent use. The zero value is ready for use.
type Tally struct {
	mu      sync.Mutex
	sum     Sum
	numbers map[int]int // how many answers had each number
}

// Sum is the sum of a [Tally].
type Sum struct {
	Sent         int
	Acknowledged int            // answered with a number
	Refused      int            // with [ErrRefused]
	PerInstance  map[string]int // visits that each instance acknowledged
	Highest      int            // the highest number in an answer
	Longest      time.Duration  // the longest wait for an answer
	Err          error          // the last error of a visit that was neither acknowledged nor refused, if any
}

// Add adds the result of a visit.
func (t *Tally) Add(a Answer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.numbers == nil {
		t.numbers, t.sum.PerInstance = make(map[int]int), make(map[string]int)
	}
	t.sum.Sent++
	t.sum.Longest = max(t.sum.Longest, a.Took)
	switch {
	case errors.Is(err, ErrRefused):
		t.sum.Refused++
	case err != nil:
		t.sum.Err = err
	default:
		t.sum.Acknowledged++
		t.sum.PerInstance[a.Page.Instance]++
		t.sum.Highest = max(t.sum.Highest, a.Page.Visits)
		t.numbers[a.Page.Visits]++
	}
}

// Sum returns the sum so far.
func (t *Tally) Sum() Sum {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.sum
	sum.PerInstance = maps.Clone(sum.PerInstance)
	return sum
}

// Visits makes n visits with v, one after the other.
func (t *Tally) Visits(ctx context.Context, v *Visitor, n int) {
	for range n {
		t.Add(v.Visit(ctx))
	}
}

// AtOnce makes n concurrent visits with v, and returns when all have ended.
func (t *Tally) AtOnce(ctx context.Context, v *Visitor, n int) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() { t.Add(v.Visit(ctx)) })
	}
	all.Wait()
}

// Load visits continuously with v: each worker pauses between its visits. The caller must call stop, which returns when the
// last visit has ended.
func (t *Tally) Load(ctx context.Context, v *Visitor, workers int, pause time.Duration) (stop func()) {
	running, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for running.Err() == nil {
				t.Add(v.Visit(ctx))
				poll.Pause(running, pause)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// Await waits until n more visits have been acknowledged. It returns the cause if ctx ends first.
func (t *Tally) Await(ctx context.Context, n int) error {
	wanted := t.Sum().Acknowledged + n
	return poll.Until(ctx, func() bool { return t.Sum().Acknowledged >= wanted })
}

// Check returns nil if the app has kept what it promises even during faults, given how many of the visits it has counted:
// acknowledged ≤ counted ≤ sent, no number twice, and no answer later than limit.
func (t *Tally) Check(counted int, limit time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sum
	if counted < s.Acknowledged || counted > s.Sent {
		return fmt.Errorf("%d visits were sent and %d acknowledged, but %d counted", s.Sent, s.Acknowledged, counted)
	}
	for number, times := range t.numbers {
		if times > 1 {
			return fmt.Errorf("%d visits got the same number, %d", times, number)
		}
	}
	if s.Longest > limit {
		return fmt.Errorf("an answer took %d ms, longer than %d ms", s.Longest.Milliseconds(), limit.Milliseconds())
	}
	return nil
}

// CheckExact is like Check, but every visit must be acknowledged. Then each has been counted exactly once.
func (t *Tally) CheckExact(counted int, limit time.Duration) error {
	if s := t.Sum(); s.Acknowledged < s.Sent {
		if s.Err == nil {
			s.Err = ErrRefused
		}
		return fmt.Errorf("%d of %d visits were not acknowledged: %w", s.Sent-s.Acknowledged, s.Sent, s.Err)
	}
	return t.Check(counted, limit)
}
