package redisstore

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync/atomic"
	"time"
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
	places [lanePlaces]place
}

// place has the lanes of a session, or of some.
type place struct {
	free   [lanesPerSession]chan struct{} // each holds a token while its lane is free
	failed atomic.Pointer[failedTurn]     // the last one
}

// failedTurn is an increment that Redis refused, or that did not reach it. One that ran out of time is none.
type failedTurn struct {
	err error
	at  time.Time
}

// newLanes returns the lanes of a store. No other store may have its name.
func newLanes(store string) *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.fields {
		l.fields[i] = reserved + store + "." + strconv.Itoa(i)
	}
	for p := range l.places {
		for i := range lanesPerSession {
			l.places[p].free[i] = make(chan struct{}, 1)
			l.places[p].free[i] <- struct{}{}
		}
	}
	return l
}

// turn is the place of an increment in a lane.
type turn struct {
	field  string
	number uint64
	place  *place
	free   chan struct{}
	began  time.Time // to wait for it
}

// end lets the next increment have the turn. err is how this one ended; end returns what to say of it.
func (t turn) end(err error) error {
	defer func() { t.free <- struct{}{} }()
	if timedOut(err) {
		return t.place.explain(err, t.began)
	}
	if errors.Is(err, ErrUnavailable) {
		t.place.failed.Store(&failedTurn{err, time.Now()})
	}
	return err
}

// explain returns the last failure since the increment began, which says more than that its time is over, or else err.
func (p *place) explain(err error, began time.Time) error {
	if failed := p.failed.Load(); failed != nil && failed.at.After(began) {
		return failed.err
	}
	return err
}

// take waits for a lane to the session, first come, first served, until one of the contexts ends. The error is that
// context's, or, if Redis failed those ahead, theirs. The first free lane is taken, so that a session remembers one as a
// rule. The caller ends the turn.
func (l *lanes) take(ctx, limited context.Context, id string) (turn, error) {
	p, began := &l.places[maphash.String(l.seed, id)%lanePlaces], time.Now()
	enter := func(i int) (turn, error) {
		return turn{l.fields[i], l.last.Add(1), p, p.free[i], began}, nil
	}
	for i := range p.free {
		select {
		case <-p.free[i]:
			return enter(i)
		default:
		}
	}
	select {
	case <-p.free[0]:
		return enter(0)
	case <-p.free[1]:
		return enter(1)
	case <-p.free[2]:
		return enter(2)
	case <-p.free[3]:
		return enter(3)
	case <-ctx.Done():
		return turn{}, classify(ctx.Err())
	case <-limited.Done():
		return turn{}, p.explain(classify(limited.Err()), began)
	}
}
