package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// increment is what one call of Increment does.
type increment struct {
	counters []any // name, what to add, name, ...
	result   Result
}

// Increment loads the session, adds to a counter of it, saves what else the request has changed, renews it, and sets the
// cookie: one command. A counter that outgrows its type is an int. A session that does not exist is created; one that was
// loaded and has been destroyed since is [ErrGone]. At most four increments of a session are under way in a store; others wait.
func (x *Session) Increment(counter string, by int64, more ...Step) (Result, error) {
	op := new(increment)
	for _, step := range append([]Step{And(counter, by)}, more...) {
		if step == nil {
			return Result{}, fmt.Errorf("%w: a step is nil", ErrInvalid)
		}
		if err := step(op); err != nil {
			return Result{}, err
		}
	}
	if err := notBegun(x.w); err != nil {
		return Result{}, err
	}
	_, err := x.do(func(ctx context.Context, rec *record) error { return op.do(x, ctx, rec) })
	if err != nil {
		return Result{}, err
	}
	return op.result, nil
}

// do increments the session. Where it was not loaded before, one that is gone is no error: a new one begins.
func (op *increment) do(x *Session, ctx context.Context, rec *record) error {
	s := rec.store
	if rec.id != "" {
		err := op.write(x, ctx, rec, rec.id)
		if rec.loaded || !errors.Is(err, ErrGone) {
			return err
		}
		if err := rec.gone(ctx); err != nil {
			return err
		}
	}
	if _, err := s.secrets.ring(ctx); err != nil { // before anything is written
		return err
	}
	op.result.Created = true
	return op.write(x, ctx, rec, newID())
}

// write sends the increment for the session of that id, and takes over what Redis answers.
func (op *increment) write(x *Session, ctx context.Context, rec *record, id string) (err error) {
	s := rec.store
	changed, err := rec.changes(op.counters)
	if err != nil {
		return err
	}
	turn, err := s.lanes.take(x.r.Context(), ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = turn.end(err) }()
	fields, lives, err := s.write(ctx, id, op.result.Created, changed, turn, op.counters, true)
	if err != nil {
		return err
	}
	rec.id = id
	rec.written(changed)
	for i := 0; i < len(op.counters); i += 2 {
		delete(rec.session.Values, op.counters[i])
	}
	if err := op.read(rec, pairs(fields)); err != nil {
		rec.err = err
		return err
	}
	op.result.ExpiresIn = lives
	return rec.setCookie(ctx, x.w, lives)
}

// read fills the session and the result with what Redis answered.
func (op *increment) read(rec *record, fields map[string]string) (err error) {
	if err := rec.fill(fields); err != nil {
		return err
	}
	op.result.fields = fields
	if op.result.CreatedAt, err = createdAt(fields); err != nil {
		return err
	}
	if op.result.Count, err = strconv.ParseInt(fields[op.counters[0].(string)], 10, 64); err != nil {
		return fmt.Errorf("%w: a counter is not a whole number", ErrCorrupt)
	}
	return nil
}
