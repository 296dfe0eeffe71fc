package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/redistest"
)

const (
	// patience is how long an answer may take while Redis is away: REDIS_TIMEOUT, and what a busy machine adds.
	patience = 1500 * time.Millisecond
	// mostBack is how much longer than the fault the app may need until it counts again.
	mostBack = 2 * time.Second
	// atOnce is how many requests wait together.
	atOnce = 120
)

// tally counts the visits of one visitor through a fault: those sent, those answered with a number, and the longest
// wait for any answer. An answer that is neither a count nor the promised refusal fails the test.
type tally struct {
	t       testing.TB
	visitor *browser
	url     string

	mu          sync.Mutex
	sent, acked int
	numbers     map[int]bool
	longest     time.Duration
	slowest     string // of the answers, for the failure message
}

func newTally(t testing.TB, url string) *tally {
	t.Helper()
	return &tally{t: t, visitor: newBrowser(t), url: url, numbers: make(map[int]bool)}
}

// visit visits once and reports whether that was acknowledged.
func (y *tally) visit() bool {
	y.t.Helper()
	y.mu.Lock()
	y.sent++
	y.mu.Unlock()
	v, answer, ok := y.visitor.tryVisit(y.t, y.url)
	if !ok {
		refused(y.t, answer)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if answer.took > y.longest {
		y.longest, y.slowest = answer.took, answer.body
	}
	if ok {
		y.acked++
		if y.numbers[v.Visits] {
			y.t.Errorf("two visits were number %d", v.Visits)
		}
		y.numbers[v.Visits] = true
	}
	return ok
}

// storm visits n times at once and returns how many were acknowledged.
func (y *tally) storm(n int) int {
	y.t.Helper()
	y.mu.Lock()
	before := y.acked
	y.mu.Unlock()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { y.visit() })
	}
	wg.Wait()
	return y.acked - before
}

// during visits without a pause, several times at once, for as long as f runs.
func (y *tally) during(f func()) {
	y.t.Helper()
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					y.visit()
				}
			}
		})
	}
	defer wg.Wait() // also when f ends the test
	defer close(done)
	f()
}

// acknowledged waits until n more visits were acknowledged by somebody who visits meanwhile.
func (y *tally) acknowledged(n int) {
	y.t.Helper()
	y.mu.Lock()
	want := y.acked + n
	y.mu.Unlock()
	redistest.Wait(y.t, fmt.Sprintf("%d more visits", n), func() bool {
		y.mu.Lock()
		defer y.mu.Unlock()
		return y.acked >= want
	})
}

// recover visits until it works, and returns after how long that was. The session must be the one before.
func (y *tally) recover(id string) time.Duration {
	y.t.Helper()
	began := time.Now()
	redistest.Wait(y.t, "a visit to be counted again", y.visit)
	back := time.Since(began)
	if now := y.id(); now != id {
		y.t.Error("after the fault the visitor has another session")
	}
	return back
}

// id returns the id of the visitor's session.
func (y *tally) id() string {
	y.t.Helper()
	id, _, _ := strings.Cut(y.visitor.cookie(y.t, y.url), ".")
	return id
}

// prove makes one last visit and compares what was sent, acknowledged and counted.
func (y *tally) prove(fault string, back time.Duration) {
	y.t.Helper()
	v := y.visitor.visit(y.t, y.url)
	y.sent++
	y.acked++
	if v.Visits < y.acked || v.Visits > y.sent {
		y.t.Errorf("%d visits were sent and %d acknowledged, but the count is %d", y.sent, y.acked, v.Visits)
	}
	for number := range y.numbers {
		if number >= v.Visits {
			y.t.Errorf("an earlier visit was number %d, the last one is %d", number, v.Visits)
		}
	}
	if y.longest > patience {
		y.t.Errorf("an answer took %v: %s", y.longest, y.slowest)
	}
	if back > mostBack {
		y.t.Errorf("%s: the app counted %v later than it could", fault, back)
	}
	y.t.Logf("figures | %-36s | sent %5d | acknowledged %5d | counted %5d | longest wait %6s | back after %6s",
		fault, y.sent, y.acked, v.Visits, y.longest.Round(time.Millisecond), back.Round(time.Millisecond))
}

// lostNone fails the test unless every visit was acknowledged.
func (y *tally) lostNone() {
	y.t.Helper()
	if y.acked != y.sent {
		y.t.Errorf("%d of %d visits were acknowledged", y.acked, y.sent)
	}
}

// said returns what the instance has printed besides its line for each request.
func (i *instance) said() string {
	var lines strings.Builder
	for line := range strings.Lines(i.output.String()) {
		if !strings.Contains(line, `"msg":"request"`) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// refused fails the test unless the answer is what a visitor is promised while Redis cannot be asked.
func refused(t testing.TB, answer response) {
	t.Helper()
	if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" ||
		answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Set-Cookie") != "" {
		t.Errorf("not the promised refusal: %d %v %s", answer.status, answer.header, answer.body)
	}
}
