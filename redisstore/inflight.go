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
	waiting []*turn
}

// turn is the number of an increment, and the floor.
type turn struct {
	number, floor uint64
	come          chan struct{} // closed when it has a number
}

// begin opens the next number for a session. Its error is that of ctx, which ended before it was the caller's turn.
func (f *inflight) begin(ctx context.Context, id string) (number, floor uint64, err error) {
	t := f.queue(id)
	if t.come != nil {
		select {
		case <-t.come:
		case <-ctx.Done():
			f.leave(id, t)
			return 0, 0, ctx.Err()
		}
	}
	return t.number, t.floor, nil
}

// queue returns a turn that has a number already, or will get one.
func (f *inflight) queue(id string) *turn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sessions == nil {
		f.sessions = make(map[string]*traffic)
	}
	s := f.sessions[id]
	if s == nil {
		s = new(traffic)
		f.sessions[id] = s
	}
	t := new(turn)
	if len(s.open) < mostOpen {
		f.open(s, t)
		return t
	}
	t.come = make(chan struct{})
	s.waiting = append(s.waiting, t)
	return t
}

// open gives a turn its number.
func (f *inflight) open(s *traffic, t *turn) {
	f.last++
	s.open = append(s.open, f.last)
	t.number, t.floor = f.last, s.open[0]
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
		f.open(s, next)
		close(next.come)
	}
	if len(s.open) == 0 {
		delete(f.sessions, id)
	}
}
