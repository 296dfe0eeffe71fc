package redisstore

import (
	"context"
	"slices"
	"sync"
)

// mostOpen bounds how many increments of one session a store has under way at once. The session has to remember each
// of them, which makes all of them dearer. The others wait their turn, first come, first served.
const mostOpen = 4

// inflight numbers the increments of one store and knows which of them may still be repeated. Each increment
// carries its number and a floor: every smaller number of this store is settled in that session, nobody waits
// for its answer any more, and Redis refuses it from then on. So a session has to remember only those at or
// above the floor: one, as a rule, and else those that began since the oldest that is under way.
//
// It is safe for concurrent use.
type inflight struct {
	mu       sync.Mutex
	last     uint64
	sessions map[string]*traffic // by session id
}

// traffic is the increments of one session.
type traffic struct {
	open    []uint64 // ascending
	room    [mostOpen]uint64
	waiting []*turn
}

// turn is what an increment in line waits for: its number, and the floor.
type turn struct {
	number, floor uint64
	come          chan struct{} // closed when it has them
}

// begin opens the next number for a session. Its error is that of ctx, which ended before it was the caller's turn.
func (f *inflight) begin(ctx context.Context, id string) (number, floor uint64, err error) {
	number, floor, t := f.enter(id)
	if t == nil {
		return number, floor, nil
	}
	select {
	case <-t.come:
		return t.number, t.floor, nil
	case <-ctx.Done():
		f.leave(id, t)
		return 0, 0, ctx.Err()
	}
}

// enter opens a number at once, or returns the turn to wait for.
func (f *inflight) enter(id string) (number, floor uint64, wait *turn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sessions == nil {
		f.sessions = make(map[string]*traffic)
	}
	s := f.sessions[id]
	if s == nil {
		s = new(traffic)
		s.open = s.room[:0]
		f.sessions[id] = s
	}
	if len(s.open) < mostOpen {
		number, floor = f.open(s)
		return number, floor, nil
	}
	wait = &turn{come: make(chan struct{})}
	s.waiting = append(s.waiting, wait)
	return 0, 0, wait
}

// open opens the next number of a session.
func (f *inflight) open(s *traffic) (number, floor uint64) {
	f.last++
	s.open = append(s.open, f.last)
	return f.last, s.open[0]
}

// leave gives up a turn, which may have come in this moment.
func (f *inflight) leave(id string, t *turn) {
	f.mu.Lock()
	s := f.sessions[id]
	if t.number == 0 {
		s.waiting = slices.DeleteFunc(s.waiting, func(other *turn) bool { return other == t })
	}
	f.mu.Unlock()
	if t.number != 0 {
		f.end(id, t.number)
	}
}

// end settles a number that begin has opened: it is the next one's turn.
func (f *inflight) end(id string, number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if i, found := slices.BinarySearch(s.open, number); found {
		s.open = slices.Delete(s.open, i, i+1)
	}
	if len(s.waiting) > 0 {
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		next.number, next.floor = f.open(s)
		close(next.come)
	}
	if len(s.open) == 0 {
		delete(f.sessions, id)
	}
}
