package redisstore

import (
	"slices"
	"sync"
)

// inflight numbers the increments of one store and knows which of them may still be repeated. Each increment
// carries its number and a floor: every smaller number of this store is settled in that session, its sender
// will not repeat it. So a session has to remember only those at or above the floor: one, as a rule, and as
// many as are under way at once.
//
// It is safe for concurrent use.
type inflight struct {
	mu   sync.Mutex
	last uint64
	open map[string][]uint64 // by session id, ascending
}

// begin opens the next number for a session.
func (f *inflight) begin(id string) (number, floor uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = make(map[string][]uint64)
	}
	f.last++
	f.open[id] = append(f.open[id], f.last)
	return f.last, f.open[id][0]
}

// end settles a number that begin has opened.
func (f *inflight) end(id string, number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	open := f.open[id]
	if i, found := slices.BinarySearch(open, number); found {
		open = slices.Delete(open, i, i+1)
	}
	if len(open) == 0 {
		delete(f.open, id)
		return
	}
	f.open[id] = open
}
