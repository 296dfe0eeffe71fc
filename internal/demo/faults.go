package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"visit-counter/internal/poll"
	"visit-counter/internal/visitor"
)

const (
	workers       = 8
	warmUp        = 100                     // visits before and after what is done under load
	pause         = 10 * time.Millisecond   // between two visits of a worker
	refuseTimeout = 1500 * time.Millisecond // for a refusal: the promised second, and some for this machine
	resetRaces    = 40
)

// resetWins: visits that are under way during a reset bring nothing back.
func resetWins(ctx context.Context, t *trial) (string, error) {
	const before, during = 2, 8
	back := 0
	for range resetRaces {
		v, err := t.begun(ctx, before)
		if err != nil {
			return "", err
		}
		old := v.Clone()
		var reset error
		var all sync.WaitGroup
		for i := range during {
			if i == during/2 {
				all.Go(func() { _, reset = v.Request(ctx, http.MethodPost, "/reset") })
			}
			slow := old.Clone()
			all.Go(func() { _, _ = slow.Visit(ctx) }) // counted or not: the session must be gone
		}
		all.Wait()
		a, err := old.Visit(ctx)
		if err := errors.Join(reset, err); err != nil {
			return "", err
		}
		if a.Page.Visits != 1 {
			back++
		}
	}
	f := fmt.Sprintf("%d races of a reset with %d visits, %d sessions came back", resetRaces, during, back)
	if back > 0 {
		return f, fmt.Errorf("%d of %d sessions came back after their reset", back, resetRaces)
	}
	return f, nil
}

// allRestarted: new processes go on from the count of the old ones.
func allRestarted(ctx context.Context, t *trial) (string, error) {
	v, err := t.begun(ctx, t.instances)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := t.fleet.RestartAll(ctx); err != nil {
		return "", err
	}
	a, err := v.Visit(ctx)
	took := time.Since(began)
	if err != nil {
		return "", err
	}
	f := fmt.Sprintf("%d sent, %d counted; back after %d ms", t.instances+1, a.Page.Visits, took.Milliseconds())
	switch {
	case a.Page.Visits != t.instances+1:
		return f, fmt.Errorf("after %d visits and a restart of all, the next one was number %d", t.instances, a.Page.Visits)
	case !a.Page.StartedAt.After(began):
		return f, errors.New("the process that answered is an old one")
	}
	return f, nil
}

// instanceKilled: every number that a browser saw stays counted, and a new process takes over. Only visits that were under way
// may stay without an answer.
func instanceKilled(ctx context.Context, t *trial) (string, error) {
	v, err := t.begun(ctx, 1)
	if err != nil {
		return "", err
	}
	victim := t.fleet.Instances()[0]
	tally, took, err := underLoad(ctx, v, func() error {
		victim.Kill()
		return t.fleet.Ready(ctx)
	})
	if err != nil {
		return measured(tally, 0), fmt.Errorf("%s was killed: %w", victim.Name(), err)
	}
	f, err := settle(ctx, v, 1, tally, tally.Check)
	sum := tally.Sum()
	if lost := sum.Sent - sum.Acknowledged; err == nil && lost > workers {
		err = fmt.Errorf("%d visits were not answered, though only %d can have been under way: %w", lost, workers, sum.Err)
	}
	return f + fmt.Sprintf("; back after %d ms", took.Milliseconds()), err
}

// rollingRestart: no visit fails while one instance after the other is replaced.
func rollingRestart(ctx context.Context, t *trial) (string, error) {
	v, err := t.begun(ctx, 1)
	if err != nil {
		return "", err
	}
	tally, took, err := underLoad(ctx, v, func() error { return t.fleet.Roll(ctx) })
	if err != nil {
		return measured(tally, 0), err
	}
	f, err := settle(ctx, v, 1, tally, tally.CheckExact)
	return f + fmt.Sprintf("; %d instances replaced in %.1f s", t.instances, took.Seconds()), err
}

// underLoad calls do while workers visit with one browser, which they also do before and after. It returns what became of the
// visits, and how long do took.
func underLoad(ctx context.Context, v *visitor.Visitor, do func() error) (tally *visitor.Tally, took time.Duration, err error) {
	tally = new(visitor.Tally)
	stop := tally.Load(ctx, v, workers, pause)
	defer stop()
	if err := tally.Await(ctx, warmUp); err != nil {
		return tally, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return tally, 0, err
	}
	took = time.Since(began)
	return tally, took, tally.Await(ctx, warmUp)
}

// redisRestarted: while Redis is away, visitors get the promised 503 in time; then the count goes on.
func redisRestarted(ctx context.Context, t *trial) (string, error) {
	server := t.fleet.RedisServer()
	kill := func() error { server.Kill(); return nil }
	return outage(ctx, t, 8, 0, kill, func() error { return server.Restart(ctx) })
}

// redisHung: the same with a Redis that takes commands and does not answer. A command may run later, but once at most.
func redisHung(ctx context.Context, t *trial) (string, error) {
	server := t.fleet.RedisServer()
	return outage(ctx, t, 40, 40, server.Pause, server.Resume)
}

// outage sends n visits at once, after visit number 1, while Redis is unreachable, and then waits for the first one that is
// counted again. Up to mayCount of those that were refused may have been counted nevertheless.
func outage(ctx context.Context, t *trial, n, mayCount int, begin, end func() error) (string, error) {
	v, err := t.begun(ctx, 1)
	if err != nil {
		return "", err
	}
	if err := begin(); err != nil {
		return "", err
	}
	tally, err := refused(ctx, v, n)
	if err != nil {
		return measured(tally, 0), fmt.Errorf("while Redis was away: %w", err)
	}
	if err := end(); err != nil {
		return measured(tally, 0), err
	}
	began := time.Now()
	var next visitor.Answer
	counted := func() bool {
		next, err = v.Visit(ctx)
		return err == nil
	}
	if err := poll.Until(ctx, counted); err != nil {
		return measured(tally, 0), fmt.Errorf("no visit was counted again: %w", err)
	}
	back, sum, late := time.Since(began), tally.Sum(), next.Page.Visits-2
	f := fmt.Sprintf("%d sent, %d counted; %d without a count; longest wait %d ms; back after %d ms; %d visits told 503, %d of them counted later",
		n+2, late+2, n, sum.Longest.Milliseconds(), back.Milliseconds(), sum.Refused, late)
	if late < 0 || late > mayCount {
		return f, fmt.Errorf("visit number 1 and %d refused ones were followed by number %d", n, next.Page.Visits)
	}
	return f, nil
}

// refused sends n visits at once while Redis is unreachable. Each must be refused as promised, in time, and /healthz must
// answer 200.
func refused(ctx context.Context, v *visitor.Visitor, n int) (*visitor.Tally, error) {
	tally := new(visitor.Tally)
	tally.AtOnce(ctx, v, n)
	sum := tally.Sum()
	if sum.Err != nil {
		return tally, sum.Err
	}
	if sum.Acknowledged > 0 {
		return tally, fmt.Errorf("%d of %d visits were answered with a number", sum.Acknowledged, n)
	}
	alive, err := v.Request(ctx, http.MethodGet, "/healthz")
	if err == nil && (alive.Status != http.StatusOK || alive.Took > time.Second) {
		err = fmt.Errorf("/healthz said %d after %d ms", alive.Status, alive.Took.Milliseconds())
	}
	return tally, errors.Join(err, tally.Check(0, refuseTimeout))
}
