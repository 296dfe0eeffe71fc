package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"visit-counter/internal/redistest"
)

const (
	burstButton = "Visit 25 times at once"
	// underWay is true while the 25 are under way, and all is as it should be then.
	underWay = `document.activeElement.textContent === "` + burstButton + `" && document.activeElement.ariaDisabled === "true" &&
		!document.activeElement.disabled && document.querySelector("progress").value < 25 &&
		document.getElementById("burst").textContent === "25 visits are under way."`
	over = `document.querySelector("[aria-disabled]") === null && document.querySelector("progress") === null &&
		document.getElementById("burst").textContent.includes(".")`
)

// beginBurst starts the 25 visits with the keyboard.
func (b *tab) beginBurst(t testing.TB) {
	t.Helper()
	b.do(t, chromedp.Focus(button(burstButton)), chromedp.KeyEvent(kb.Enter))
}

// endBurst waits until all are answered. The focus must not have moved.
func (b *tab) endBurst(t testing.TB) {
	t.Helper()
	b.await(t, over)
	if got := ask[string](t, b, "document.activeElement.textContent"); got != burstButton {
		t.Errorf("after 25 visits at once the focus is on %q", got)
	}
	if got := ask[string](t, b, `document.getElementById("burst").role`); got != "status" {
		t.Errorf("the result is in a region with the role %q, which screen readers do not announce", got)
	}
}

func (b *tab) burst(t testing.TB) {
	t.Helper()
	b.beginBurst(t)
	b.endBurst(t)
}

func TestTwentyFiveVisitsAtOnceCountTwentyFive(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	r := newRouter(t, routerOptions{},
		start(t, "REDIS_URL="+proxy.URL(), longTimeout, "INSTANCE=web.1"),
		start(t, "REDIS_URL="+proxy.URL(), longTimeout, "INSTANCE=web.2"),
	)
	b := newTab(t)
	b.open(t, r.url)
	b.reload(t)
	b.count(t, 2)
	proxy.All(redistest.Any, redistest.Fate{Delay: 200 * time.Millisecond})
	b.beginBurst(t)
	b.await(t, underWay)
	b.do(t, chromedp.KeyEvent(kb.Enter)) // too early: does nothing
	proxy.Heal()
	b.endBurst(t)
	served := make(map[string]int)
	for _, row := range b.count(t, 27).Rows {
		served[row.Instance] += row.Visits
	}
	if served["web.1"] < 10 || served["web.2"] < 10 {
		t.Errorf("the instances served %v; want them to take turns", served)
	}
	b.wantText(t, "#burst", "At once 25", "Before 2", "After 27", "Lost 0", "The count rose by exactly 25.", "Answered by web.1 (", "web.2 (")
	b.burst(t)
	b.count(t, 52)
	b.wantText(t, "#burst", "Before 27", "After 52", "Lost 0")
	b.reload(t)
	b.count(t, 53)
}

func TestTwentyFiveAtOnceSayWhenRedisIsGone(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.Start(t))
	i := start(t, "REDIS_URL="+proxy.URL(), "REDIS_TIMEOUT=3s")
	b := newTab(t)
	b.tolerate("503")
	b.open(t, i.url)

	const counted = 10
	var asked atomic.Int64
	proxy.All(func(args []string) bool { return redistest.Scripts(args) && asked.Add(1) > counted }, redistest.Fate{Answer: redistest.Loading})
	b.burst(t)
	b.count(t, 1+counted)
	b.wantText(t, "#burst", fmt.Sprintf("At once %d", counted), "Lost 0", fmt.Sprintf("The count rose by exactly %d.", counted),
		"15 of 25 visits failed.", "still loading its data", "Your count is safe.")

	proxy.Refuse()
	b.burst(t)
	b.count(t, 1+counted) // the last known count
	b.wantText(t, "#burst", "25 of 25 visits failed.", "Redis cannot be reached.", "Your count is safe.")

	proxy.Heal()
	redistest.Wait(t, "Redis to be back", func() bool { return i.get(t, "/readyz").Status == http.StatusOK })
	b.burst(t)
	b.count(t, 1+counted+25)
	b.wantText(t, "#burst", "The count rose by exactly 25.")
}

func TestTwentyFiveAtOnceSayWhenTheAppIsGone(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout)
	b := newTab(t)
	b.tolerate("net::ERR_")
	b.open(t, i.url)
	i.end(t, syscall.SIGKILL)
	b.burst(t)
	b.count(t, 1)
	b.wantText(t, "#burst", "25 of 25 visits failed.", "The app could not be reached.")
}
