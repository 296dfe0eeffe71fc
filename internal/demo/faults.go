package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	workers    = 8
	calm       = 100                     // visits before and after what is done under load
	breath     = 10 * time.Millisecond   // between two visits of a worker
	refuseTime = 1500 * time.Millisecond // in which a visit must be refused: the promised second, and some for this machine
	resetRaces = 40
)

// resetWins: visits that are under way during a reset bring nothing back.
func resetWins(ctx context.Context, t *trial) (figures, error) {
	const before, during = 2, 8
	back := 0
	for race := range resetRaces {
		t.progress("%d of %d races", race, resetRaces)
		v := t.newVisitor()
		if err := visits(ctx, v, before).exact(before); err != nil {
			return figures{}, err
		}
		old := v.again()
		var reset error
		var all sync.WaitGroup
		for i := range during {
			if i == during/2 {
				all.Go(func() { _, reset = v.request(ctx, http.MethodPost, "/reset") })
			}
			slow := old.again()
			all.Go(func() { _, _ = slow.visit(ctx) }) // counted or not: the session must be gone
		}
		all.Wait()
		a, err := old.visit(ctx)
		if err := errors.Join(reset, err); err != nil {
			return figures{}, err
		}
		if a.page.Visits != 1 {
			back++
		}
	}
	f := figures{Note: fmt.Sprintf("%d races of a reset with %d visits, %d sessions came back", resetRaces, during, back)}
	if back > 0 {
		return f, fmt.Errorf("%d of %d sessions came back after their reset", back, resetRaces)
	}
	return f, nil
}

// allRestarted: new processes go on from the count of the old ones.
func allRestarted(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	if err := visits(ctx, v, t.instances).exact(t.instances); err != nil {
		return figures{}, err
	}
	began := time.Now()
	if err := t.fleet.RestartAll(ctx); err != nil {
		return figures{}, err
	}
	a, err := v.visit(ctx)
	took := time.Since(began)
	if err != nil {
		return figures{}, err
	}
	f := figures{Sent: t.instances + 1, Counted: a.page.Visits, Recovery: milliseconds(took)}
	switch {
	case a.page.Visits != t.instances+1:
		return f, fmt.Errorf("after %d visits and a restart of all, the next one was number %d", t.instances, a.page.Visits)
	case !a.page.StartedAt.After(began):
		return f, errors.New("the process that answered is an old one")
	}
	return f, nil
}

// instanceKilled: every number that a browser saw stays counted, and the instance comes back by itself.
func instanceKilled(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	first, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	victim := t.fleet.Instances()[0]
	sum, took, err := t.underLoad(ctx, v, func() error {
		victim.Kill()
		return t.fleet.Ready(ctx)
	})
	if err != nil {
		return sum.figures(0), fmt.Errorf("%s was killed: %w", victim.Name(), err)
	}
	f, err := sum.settle(ctx, v, first.page.Visits, sum.bounded)
	f.Recovery = milliseconds(took)
	return f, err
}

// rollingRestart: nobody notices that one instance after the other is replaced.
func rollingRestart(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	first, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	sum, took, err := t.underLoad(ctx, v, func() error { return t.fleet.Roll(ctx) })
	if err != nil {
		return sum.figures(0), err
	}
	f, err := sum.settle(ctx, v, first.page.Visits, sum.exact)
	f.Note = fmt.Sprintf("%d instances replaced in %.1f s", t.instances, took.Seconds())
	return f, err
}

// underLoad does something while workers visit with one browser, before and after it, too. It returns what became of the
// visits, and how long the doing took.
func (t *trial) underLoad(ctx context.Context, v *visitor, do func() error) (*tally, time.Duration, error) {
	sum, enough := newTally(), make(chan struct{})
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { t.work(ctx, v, sum, enough) })
	}
	err := sum.await(ctx, calm)
	began := time.Now()
	if err == nil {
		err = do()
	}
	took := time.Since(began)
	if err == nil {
		err = sum.await(ctx, sum.done()+calm)
	}
	close(enough)
	all.Wait()
	return sum, took, err
}

// work visits until it is enough.
func (t *trial) work(ctx context.Context, v *visitor, sum *tally, enough <-chan struct{}) {
	tick := time.NewTicker(breath)
	defer tick.Stop()
	for {
		sum.add(v.visit(ctx))
		t.progress("%d visits", sum.done())
		select {
		case <-tick.C:
		case <-enough:
			return
		}
	}
}

// redisRestarted: while Redis is away, visitors are told so, soon and truly; then the count goes on.
func redisRestarted(ctx context.Context, t *trial) (figures, error) {
	const away = 8
	v := t.newVisitor()
	first, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	if err := t.fleet.KillRedis(); err != nil {
		return figures{}, err
	}
	sum, err := t.refused(ctx, v, away)
	if err != nil {
		return sum.figures(0), fmt.Errorf("while Redis was away: %w", err)
	}
	if err := t.fleet.StartRedis(ctx); err != nil {
		return sum.figures(0), err
	}
	return sum.goOn(ctx, v, first.page.Visits, 0)
}

// redisHung: the same with a Redis that takes commands and answers none. A command may run later, but once at most.
func redisHung(ctx context.Context, t *trial) (figures, error) {
	const away = 40
	v := t.newVisitor()
	first, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	if err := t.fleet.SuspendRedis(); err != nil {
		return figures{}, err
	}
	sum, err := t.refused(ctx, v, away)
	if err != nil {
		return sum.figures(0), fmt.Errorf("while Redis hung: %w", err)
	}
	if err := t.fleet.ResumeRedis(); err != nil {
		return sum.figures(0), err
	}
	return sum.goOn(ctx, v, first.page.Visits, away)
}

// goOn waits for the first visit that is counted after those that were refused. Of them, so many may have been counted
// behind the visitor's back.
func (t *tally) goOn(ctx context.Context, v *visitor, before, mayCount int) (figures, error) {
	a, recovery, err := waitUntil(ctx, v)
	late := a.page.Visits - before - 1
	f := figures{
		Sent: t.sent + 2, Answered: 2, Counted: late + 2, LongestWait: milliseconds(t.longest), Recovery: milliseconds(recovery),
		Note: fmt.Sprintf("%d visits told 503, %d of them counted later", t.sent, late),
	}
	if err == nil && (late < 0 || late > mayCount) {
		err = fmt.Errorf("visit number %d and %d refused ones were followed by number %d", before, t.sent, a.page.Visits)
	}
	return f, err
}

// refused sends n visits at once while Redis cannot be asked. Each must be a 503 in time that leaves the cookie alone, and
// the instances must say that they live.
func (t *trial) refused(ctx context.Context, v *visitor, n int) (*tally, error) {
	sum, problems := newTally(), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			a, err := v.request(ctx, http.MethodGet, "/")
			problems[i] = errors.Join(err, rightlyRefused(a))
			sum.add(a, errors.Join(err, errors.New("refused")))
		})
	}
	all.Wait()
	alive, err := v.request(ctx, http.MethodGet, "/healthz")
	if err == nil && (alive.status != http.StatusOK || alive.took > time.Second) {
		err = fmt.Errorf("/healthz said %d after %d ms", alive.status, alive.took.Milliseconds())
	}
	for _, problem := range problems {
		if problem != nil {
			return sum, problem
		}
	}
	return sum, err
}

func rightlyRefused(a answer) error {
	switch {
	case a.status != http.StatusServiceUnavailable:
		return fmt.Errorf("a visit was answered with %d, not with 503", a.status)
	case a.took > refuseTime:
		return fmt.Errorf("a visit was refused only after %d ms", a.took.Milliseconds())
	case a.header.Get("Set-Cookie") != "":
		return errors.New("a visit was refused with a new cookie")
	case a.header.Get("Retry-After") == "":
		return errors.New("a visit was refused without Retry-After")
	}
	return nil
}
