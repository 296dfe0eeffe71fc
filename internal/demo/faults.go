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
	warmUp        = 100                     // acknowledged visits before and after the fault
	pause         = 10 * time.Millisecond   // between a worker's visits
	refuseTimeout = 1500 * time.Millisecond // for a refusal: the promised second, plus slack for a busy machine
	resetRaces    = 40
)

// resetWins proves that visits under way during a reset do not bring the session back.
func resetWins(ctx context.Context, t *trial) (string, error) {
	const before, during = 2, 8
	back := 0
	for range resetRaces {
		v, err := t.returningVisitor(ctx, before)
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
			all.Go(func() { _, _ = slow.Visit(ctx) }) // it may be counted or not, but the session must be gone
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
	f := fmt.Sprintf("%d races between a reset and %d visits, %d sessions came back", resetRaces, during, back)
	if back > 0 {
		return f, fmt.Errorf("%d of %d sessions came back after their reset", back, resetRaces)
	}
	return f, nil
}

// allRestarted proves that new processes continue the count of the old ones.
func allRestarted(ctx context.Context, t *trial) (string, error) {
	v, err := t.returningVisitor(ctx, t.instances)
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
		return f, fmt.Errorf("after %d visits and a restart of all instances, the next visit was number %d", t.instances, a.Page.Visits)
	case !a.Page.StartedAt.After(began):
		return f, errors.New("the process that answered is older than the restart")
	}
	return f, nil
}

// instanceKilled proves that every number that a browser saw stays counted, and that a new process takes over. Only visits
// under way may get no answer.
func instanceKilled(ctx context.Context, t *trial) (string, error) {
	v, err := t.returningVisitor(ctx, 1)
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
	f, err := settle(ctx, v, tally, tally.Check)
	sum := tally.Sum()
	if lost := sum.Sent - sum.Acknowledged; err == nil && lost > workers {
		err = fmt.Errorf("%d visits were not answered, though only %d can have been under way: %w", lost, workers, sum.Err)
	}
	return f + fmt.Sprintf("; back after %d ms", took.Milliseconds()), err
}

// rollingRestart proves that no visit fails while the instances are replaced one by one.
func rollingRestart(ctx context.Context, t *trial) (string, error) {
	v, err := t.returningVisitor(ctx, 1)
	if err != nil {
		return "", err
	}
	tally, took, err := underLoad(ctx, v, func() error { return t.fleet.Roll(ctx) })
	if err != nil {
		return measured(tally, 0), err
	}
	f, err := settle(ctx, v, tally, tally.CheckExact)
	return f + fmt.Sprintf("; %d instances replaced in %.1f s", t.instances, took.Seconds()), err
}

// underLoad calls do while workers visit with one browser, which they also do before and after it. It returns the tally of
// the visits, and how long do took.
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

// redisRestarted proves that visitors get the promised 503 in time while Redis is away, and that the count then goes on.
func redisRestarted(ctx context.Context, t *trial) (string, error) {
	server := t.fleet.RedisServer()
	kill := func() error { server.Kill(); return nil }
	return outage(ctx, t, 8, 0, kill, func() error { return server.Restart(ctx) })
}

// redisHung proves the same for a Redis that accepts commands but does not answer. A command may run later, but only once.
func redisHung(ctx context.Context, t *trial) (string, error) {
	server := t.fleet.RedisServer()
	return outage(ctx, t, 40, 40, server.Pause, server.Resume)
}

// outage sends n concurrent visits, after visit number 1, while Redis is unreachable. Then it sends visits until one is
// counted. At most mayCount of the refused visits may have been counted.
func outage(ctx context.Context, t *trial, n, mayCount int, begin, end func() error) (string, error) {
	v, err := t.returningVisitor(ctx, 1)
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
		return measured(tally, 0), fmt.Errorf("no visit was counted after Redis came back: %w", err)
	}
	back, sum, late := time.Since(began), tally.Sum(), next.Page.Visits-2
	f := fmt.Sprintf("%d sent, %d counted; %d without a count; longest wait %d ms; back after %d ms; %d visits told 503, %d of them counted later",
		n+2, late+2, n, sum.Longest.Milliseconds(), back.Milliseconds(), sum.Refused, late)
	if late < 0 || late > mayCount {
		return f, fmt.Errorf("visit number 1 and %d refused ones were followed by number %d", n, next.Page.Visits)
	}
	return f, nil
}

// refused sends n concurrent visits while Redis is unreachable. Each must be refused as promised and in time, and /healthz
// must answer 200.
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
		err = fmt.Errorf("/healthz answered %d after %d ms", alive.Status, alive.Took.Milliseconds())
	}
	return tally, errors.Join(err, tally.Check(0, refuseTimeout))
}
