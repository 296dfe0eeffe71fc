package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"visit-counter/internal/redistest"
)

func TestEachLoadOfThePageIsAVisit(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout, "INSTANCE=web.1")
	b := newTab(t)
	if status := b.open(t, i.url); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if first := b.count(t, 1); !strings.Contains(first.Said, "This is your first visit") {
		t.Errorf("the first page says %q", first.Said)
	}
	b.reload(t)
	if second := b.count(t, 2); strings.Contains(second.Said, "first visit") {
		t.Errorf("the second page says %q", second.Said)
	}
	b.press(t, "Visit again")
	b.count(t, 3)
	wantHiddenCommand(t, b)
	if got := ask[string](t, b, "location.href"); got != i.url+"/" {
		t.Errorf("after the button the address is %s", got)
	}
	if code := ask[string](t, b, "document.querySelector('.way code').textContent"); strings.Contains(b.cookie(t), code) || code == "" {
		t.Errorf("step 1 shows %q as the cookie's name", code)
	}
}

// The page hides the command until the visitor clicks.
func wantHiddenCommand(t *testing.T, b *tab) {
	t.Helper()
	shown := func() bool {
		return ask[bool](t, b, "document.querySelector('#way details code').checkVisibility()")
	}
	if shown() {
		t.Error("the command is shown before the click")
	}
	b.do(t, chromedp.Click(chromedp.Search("//summary[normalize-space()='Show the command']")))
	if !shown() {
		t.Error("a click does not show the command")
	}
	b.wantText(t, "#way details", "EVALSHA", "visits:session:", "visits 1")
}

func TestTwoTabsShareOneCount(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout)
	one := newTab(t)
	one.open(t, i.url)
	two := one.another(t)
	two.open(t, i.url)
	two.count(t, 2)
	var wg sync.WaitGroup
	for _, b := range []*tab{one, two} {
		wg.Go(func() { b.reload(t) })
	}
	wg.Wait()
	if got := one.read(t).Visits + two.read(t).Visits; got != 3+4 {
		t.Errorf("two visits at once say %d and %d", one.read(t).Visits, two.read(t).Visits)
	}
	one.press(t, "Start over")
	one.count(t, 1)
	two.press(t, "Visit again")
	two.count(t, 2)
}

func TestBackNeverShowsAnOldCount(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout)
	b := newTab(t)
	b.tolerate("404")
	b.open(t, i.url)
	b.press(t, "Visit again")
	b.count(t, 2)
	if status := b.open(t, i.url+"/nothing/here"); status != http.StatusNotFound {
		t.Fatalf("status %d", status)
	}
	b.do(t, chromedp.NavigateBack())
	b.awaitCount(t, 3)
	b.do(t, chromedp.NavigateForward(), chromedp.NavigateBack())
	b.awaitCount(t, 4)
	// A page that the browser restores from its back/forward cache notices that, and reloads itself.
	b.load(t, chromedp.Evaluate[chromedp.Void]("void dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"))
	b.count(t, 5)
}

func TestWhatTheBrowserLoadsAheadIsNoVisit(t *testing.T) {
	t.Parallel()
	app := newRouter(t, routerOptions{}, start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout))
	var ahead atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/links":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<!DOCTYPE html><link rel="icon" href="data:,"><title>Links</title><a href="/">to the counter</a>
<script type="speculationrules">{"prerender": [{"source": "list", "urls": ["/"], "eagerness": "immediate"}]}</script>
<link rel="prefetch" href="/">`)
			return
		case strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch"):
			ahead.Add(1)
		}
		app.ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	b := newTab(t)
	b.tolerate("503") // the answer to what is loaded ahead
	b.open(t, site.URL)
	b.count(t, 1)
	b.open(t, site.URL+"/links")
	redistest.Wait(t, "the browser to load the counter ahead", func() bool { return ahead.Load() > 0 })
	b.do(t, chromedp.Click(chromedp.CSS("a")))
	b.awaitCount(t, 2)
}

func TestHostileNamesAreOnlyText(t *testing.T) {
	t.Parallel()
	const name = `"><img src=x onerror=alert(1)><script>alert(2)</script>`
	server := redistest.Start(t)
	i := start(t, "REDIS_URL="+server.URL(), longTimeout, "INSTANCE="+name)
	b := newTab(t)
	b.open(t, i.url)
	if got := b.count(t, 1).Rows[0].Instance; got != name {
		t.Errorf("the row says %q", got)
	}
	b.burst(t)
	if got := b.count(t, 26).Rows[0].Instance; got != name {
		t.Errorf("after 25 at once the row says %q", got)
	}
	b.wantText(t, "#burst", name+" (25)")
	if n := ask[int](t, b, "document.querySelectorAll('img, script').length"); n != 2 {
		t.Errorf("%d images and scripts, want one of each", n)
	}
}

func TestThePageWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL(), longTimeout, "DEMO_CONTROLS=true")
	b := newTab(t)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(t, i.url)
	b.reload(t)
	b.press(t, "Visit again")
	b.count(t, 3)
	wantHiddenCommand(t, b)
	if names := ask[string](t, b, "[...document.querySelectorAll('button')].map((b) => b.textContent).join()"); names != "Visit again,Start over,Stop this instance" {
		t.Errorf("the buttons are %s", names)
	}
	b.press(t, "Start over")
	b.count(t, 1)
	if status := b.press(t, "Stop this instance"); status != http.StatusAccepted {
		t.Errorf("the answer to the stop is %d, want 202", status)
	}
	if status := i.await(t); status != 0 {
		t.Errorf("the process ended with status %d", status)
	}
	i.restart(t)
	b.press(t, "Back to the counter")
	b.count(t, 2)
}
