package e2e

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
)

const (
	// defaultTimeout is the app's REDIS_TIMEOUT unless it is set.
	defaultTimeout = time.Second
	// maxOverhead is how much longer than REDIS_TIMEOUT an answer may take while Redis is away, not counting what a busy machine
	// adds.
	maxOverhead = 500 * time.Millisecond
	// maxBusyWait limits the time of an answer that waits only for a busy machine.
	maxBusyWait = 10 * time.Second
	// maxHealthWait limits the time of the fastest /healthz. It is shorter than any wait for a Redis that is away.
	maxHealthWait = 300 * time.Millisecond
	// maxBack limits how long after a fault the app may take to count again.
	maxBack = 2 * time.Second
	// atOnce is the number of concurrent requests.
	atOnce = 120
)

// tally follows one visitor through a fault: the outcome of each visit, and whether /readyz agrees.
type tally struct {
	visitor.Tally
	t       testing.TB
	visitor *visitor.Visitor
	counted sync.Once
	id      string        // of the session, after the first visit that was counted
	timeout time.Duration // the app's REDIS_TIMEOUT
	slowest atomic.Int64  // max nanoseconds of an answer that waits for nothing
}

func newTally(t testing.TB, address string) *tally {
	t.Helper()
	ta := &tally{t: t, visitor: newVisitor(t, address), timeout: defaultTimeout}
	var measuring sync.WaitGroup
	t.Cleanup(measuring.Wait)
	measuring.Go(ta.measure)
	return ta
}

// measure times a request that waits for nothing, repeatedly until the test ends.
func (ta *tally) measure() {
	for ta.t.Context().Err() == nil {
		if answer, err := ta.visitor.Request(ta.t.Context(), http.MethodGet, "/healthz"); err == nil {
			ta.slowest.Store(max(ta.slowest.Load(), int64(answer.Took)))
		}
		select {
		case <-ta.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// busy returns the delay that a busy machine may have added to a wait for Redis: on the way to the app and on to Redis.
func (ta *tally) busy() time.Duration { return 2 * time.Duration(ta.slowest.Load()) }

// maxWait is how long an answer may take while Redis is away.
func (ta *tally) maxWait() time.Duration { return ta.timeout + maxOverhead + ta.busy() }

// visit visits once and reports whether that was acknowledged.
func (ta *tally) visit() bool {
	answer, err := ta.visitor.Visit(ta.t.Context())
	ta.Add(answer, err)
	if err == nil {
		ta.counted.Do(func() { ta.id = sessionID(ta.visitor) })
	}
	return err == nil
}

// storm visits n times at once and returns how many were acknowledged.
func (ta *tally) storm(n int) int {
	ta.t.Helper()
	before := ta.Sum().Acknowledged
	ta.AtOnce(ta.t.Context(), ta.visitor, n)
	return ta.Sum().Acknowledged - before
}

// agree fails the test unless /readyz and a visit agree on whether visits are counted. It retries if they differ, because the
// state may change in between.
func (ta *tally) agree() {
	ta.t.Helper()
	var before, after bool
	var ready visitor.Answer
	for range 3 {
		before = ta.visit()
		ready, _ = ta.visitor.Request(ta.t.Context(), http.MethodGet, "/readyz")
		after = ta.visit()
		if before == after && before == (ready.Status == http.StatusOK) {
			return
		}
	}
	ta.t.Errorf("visits before and after are counted: %t, %t; but /readyz: %d %s", before, after, ready.Status, ready.Body)
}

// during makes concurrent visits without a pause while f runs.
func (ta *tally) during(f func()) {
	ta.t.Helper()
	stop := ta.Load(ta.t.Context(), ta.visitor, 6, 0)
	defer stop() // also when f ends the test
	f()
}

// await waits until n more of the visits that run meanwhile are acknowledged.
func (ta *tally) await(n int) {
	ta.t.Helper()
	ctx, cancel := context.WithTimeout(ta.t.Context(), 30*time.Second)
	defer cancel()
	if err := ta.Await(ctx, n); err != nil {
		ta.t.Fatalf("timed out waiting for %d more visits: %v", n, err)
	}
}

// recover makes visits until one is counted, and returns how long that took. The session must be the same as before.
func (ta *tally) recover() time.Duration {
	ta.t.Helper()
	began := time.Now()
	redistest.Wait(ta.t, "a visit to be counted again", ta.visit)
	back := time.Since(began)
	if sessionID(ta.visitor) != ta.id {
		ta.t.Error("after the fault the visitor has another session")
	}
	return back
}

// check makes the last visits, and compares the sent, acknowledged and counted ones after a fault. back is the time that the
// app took to recover.
func (ta *tally) check(fault string, back time.Duration) {
	ta.t.Helper()
	ta.finish(fault, back, ta.maxWait(), ta.Check)
}

// checkExact is check for a fault that visitors must not notice: every visit must have been acknowledged, which the app does
// within REDIS_TIMEOUT or not at all.
func (ta *tally) checkExact(fault string) {
	ta.t.Helper()
	ta.finish(fault, 0, maxBusyWait+ta.busy(), ta.CheckExact)
}

func (ta *tally) finish(fault string, back, limit time.Duration, check func(counted int, limit time.Duration) error) {
	ta.t.Helper()
	ta.agree()
	last, err := ta.visitor.Visit(ta.t.Context())
	if err != nil {
		ta.t.Fatalf("%s: the last visit: %v", fault, err)
	}
	ta.Add(last, nil)
	counted, sum := last.Page.Visits, ta.Sum()
	if err := check(counted, limit); err != nil {
		ta.t.Errorf("%s: %v", fault, err)
	}
	if sum.Err != nil {
		ta.t.Errorf("%s: a visit was neither counted nor refused as promised: %v", fault, sum.Err)
	}
	if sum.Highest != counted {
		ta.t.Errorf("%s: an earlier visit was number %d, the last one is %d", fault, sum.Highest, counted)
	}
	if back > maxBack+ta.busy() {
		ta.t.Errorf("%s: the app counted again only %v after the fault", fault, back)
	}
	ta.t.Logf("figures | %-36s | sent %5d | acknowledged %5d | counted %5d | longest wait %6s, busy %6s | back after %6s",
		fault, sum.Sent, sum.Acknowledged, counted, sum.Longest.Round(time.Millisecond), ta.busy().Round(time.Millisecond), back.Round(time.Millisecond))
}

// wantRefusal fails the test unless the answer is the one that is promised for the time while Redis is unavailable.
func wantRefusal(t testing.TB, answer visitor.Answer) {
	t.Helper()
	if err := answer.CheckRefusal(); err != nil {
		t.Errorf("not the promised refusal: %v: %v %s", err, answer.Header, answer.Body)
	}
}
