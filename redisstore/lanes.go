package redisstore

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync/atomic"
)

const (
	// lanesPerSession is how many increments of one session a store has under way at once. The session remembers the last
	// one of each lane, so that more lanes would make every visit more expensive.
	lanesPerSession = 4
	// lanePlaces is how many sessions have lanes of their own; more share them, and then use more than the first. 64 visits at
	// once to 256 sessions used 3.0 lanes of a session, and 3.4 with 256 places; 4,096 places take 6 MB more under load.
	lanePlaces = 1024
)

// lanes makes the increments of one session safe to repeat: in a lane one increment follows the other, with growing
// numbers, so Redis has to remember only the last number of a lane. It is safe for concurrent use.
type lanes struct {
	fields [lanesPerSession]string // in which a session remembers them
	last   atomic.Uint64
	seed   maphash.Seed
	free   [lanePlaces][lanesPerSession]chan struct{} // each holds a token while its lane is free
}

// newLanes returns the lanes of a store. No other store may have its name.
func newLanes(store string) *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.fields {
		l.fields[i] = reserved + store + "." + strconv.Itoa(i)
	}
	for place := range l.free {
		for i := range l.free[place] {
			l.free[place][i] = make(chan struct{}, 1)
			l.free[place][i] <- struct{}{}
		}
	}
	return l
}

// turn is the place of an increment in a lane.
type turn struct {
	field  string
	number uint64
	free   chan struct{}
}

func (t turn) end() { t.free <- struct{}{} }

// take waits for a lane to the session, first come, first served, until one of the contexts ends; the error is that
// context's. The first free lane is taken, so that a session remembers one as a rule. The caller ends the turn.
func (l *lanes) take(ctx, limited context.Context, id string) (turn, error) {
	free := &l.free[maphash.String(l.seed, id)%lanePlaces]
	for i := range free {
		select {
		case <-free[i]:
			return l.enter(free, i), nil
		default:
		}
	}
	select {
	case <-free[0]:
		return l.enter(free, 0), nil
	case <-free[1]:
		return l.enter(free, 1), nil
	case <-free[2]:
		return l.enter(free, 2), nil
	case <-free[3]:
		return l.enter(free, 3), nil
	case <-ctx.Done():
		return turn{}, ctx.Err()
	case <-limited.Done():
		return turn{}, limited.Err()
	}
}

func (l *lanes) enter(free *[lanesPerSession]chan struct{}, i int) turn {
	return turn{field: l.fields[i], number: l.last.Add(1), free: free[i]}
}
