package e2e

import (
	"net/http"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

func TestRedisAwayIsSaidAndTheCountGoesOn(t *testing.T) {
	t.Parallel()
	server := redistest.StartWith(t, redisserver.Options{AppendOnly: true})
	i := start(t, "REDIS_URL="+server.URL())
	b := newTab(t)
	b.tolerate("503")
	b.open(t, i.url)
	b.reload(t)
	cookie := b.cookie(t)
	server.Kill()
	if status := b.reload(t); status != http.StatusServiceUnavailable {
		t.Fatalf("without Redis the status is %d, want 503", status)
	}
	b.wantText(t, "h1", "Redis cannot count this visit", "503")
	b.wantText(t, "main", "Redis cannot be reached.", "Your count is safe.", "What to do", "check that Redis runs")
	if b.cookie(t) != cookie {
		t.Error("the cookie has changed")
	}
	if status := b.press(t, "Try again"); status != http.StatusServiceUnavailable {
		t.Fatalf("still without Redis the status is %d, want 503", status)
	}
	redistest.Restart(t, server)
	redistest.Wait(t, "the count to go on", func() bool { return b.press(t, "Try again") == http.StatusOK })
	b.count(t, 3)
}

func TestTheStopPageComesBackByItself(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout, "INSTANCE=web.1", "DEMO_CONTROLS=true")
	b := newTab(t)
	b.tolerate("/readyz") // while the app is away
	b.open(t, i.url)
	if status := b.press(t, "Stop this instance"); status != http.StatusAccepted {
		t.Fatalf("the answer to the stop is %d, want 202", status)
	}
	b.wantText(t, "h1", "Stopping web.1")
	b.wantText(t, "main", "Your count is safe.", "This page goes back to the counter by itself")
	if status := i.await(t); status != 0 {
		t.Errorf("the process ended with status %d", status)
	}
	i.restart(t)
	if s := b.awaitCount(t, 2); len(s.Rows) != 2 {
		t.Errorf("the rows are %v", s.Rows)
	}
}
