package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"visit-counter/internal/redistest"
)

// tabTime limits how long a test may use a tab.
const tabTime = 90 * time.Second

// chromium is the one browser process that the tests share. It starts with the first tab; TestMain closes it.
var chromium browserProcess

type browserProcess struct {
	starting sync.Once
	ctx      context.Context
	err      error
}

func (p *browserProcess) start() {
	options := []chromedp.ExecAllocatorOption{
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.WindowSize(1366, 768),
	}
	for _, name := range []string{
		"disable-background-networking", "disable-component-update", "disable-dev-shm-usage", "disable-quic", "disable-sync",
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
		"hide-scrollbars",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	p.ctx, _ = chromedp.NewContext(allocator)
	p.err = chromedp.Do(p.ctx)
}

// close ends the process and removes its folder.
func (p *browserProcess) close() {
	if p.ctx != nil {
		_ = chromedp.Cancel(p.ctx) // it may have died in a test, which has reported that
	}
}

// tab is a tab of Chromium. Complaints of the browser fail the test: errors and warnings on its console, violations of the
// Content-Security-Policy, dialogs.
type tab struct {
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	tolerated  []string
}

// newTab opens a tab for a new visitor, who shares no cookie, cache or history with others.
func newTab(t testing.TB) *tab {
	t.Helper()
	chromium.starting.Do(chromium.start)
	if chromium.err != nil {
		t.Fatalf("this test needs Chromium or Chrome: %v", chromium.err)
	}
	return openTab(t, chromium.ctx, chromedp.WithNewBrowserContext())
}

// another opens another tab for the same visitor.
func (b *tab) another(t testing.TB) *tab {
	t.Helper()
	return openTab(t, b.ctx)
}

func openTab(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{}
	ctx, closeTab := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.listen))...)
	t.Cleanup(func() {
		closeTab()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, complaint := range b.complaints {
			if !slices.ContainsFunc(b.tolerated, func(part string) bool { return strings.Contains(complaint, part) }) {
				t.Errorf("the browser complains: %s", complaint)
			}
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	limited, cancel := context.WithTimeout(ctx, tabTime)
	t.Cleanup(cancel)
	b.ctx = limited
	return b
}

// listen records the browser's complaints.
func (b *tab) listen(event any) {
	var complaint string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelWarning || e.Entry.Level == log.EntryLevelError {
			complaint = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console.%s was called", e.Type)
	case *runtime.EventExceptionThrown:
		complaint = "an exception: " + e.ExceptionDetails.Text
	case *page.EventJavascriptDialogOpening:
		complaint = "a dialog: " + e.Message
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

// tolerate lists complaints that the test expects: those that contain one of these parts.
func (b *tab) tolerate(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tolerated = append(b.tolerated, parts...)
}

func (b *tab) do(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatalf("in the browser: %v", err)
	}
}

// load performs an action that makes the browser load a page, and returns the status of the answer.
func (b *tab) load(t testing.TB, steps ...chromedp.Action[chromedp.Void]) int {
	t.Helper()
	answer, err := chromedp.RunResponse(b.ctx, steps...)
	if err != nil {
		t.Fatalf("in the browser: %v", err)
	}
	if answer == nil {
		t.Fatal("the browser has loaded no page")
	}
	return int(answer.Status)
}

func (b *tab) open(t testing.TB, address string) int {
	t.Helper()
	return b.load(t, chromedp.Navigate(address))
}

func (b *tab) reload(t testing.TB) int {
	t.Helper()
	return b.load(t, chromedp.Reload())
}

// press clicks a button that loads a page.
func (b *tab) press(t testing.TB, name string) int {
	t.Helper()
	return b.load(t, chromedp.Click(button(name)))
}

// button finds a button by its name.
func button(name string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf(`//button[normalize-space()=%q]`, name))
}

// ask evaluates an expression in the page.
func ask[T any](t testing.TB, b *tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("in the browser: %s: %v", expression, err)
	}
	return value
}

// await waits until an expression is true, even in a page that is not loaded yet.
func (b *tab) await(t testing.TB, expression string) {
	t.Helper()
	redistest.Wait(t, expression+" in the browser", func() bool {
		met, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		if b.ctx.Err() != nil {
			t.Fatalf("the tab has ended: %v", b.ctx.Err())
		}
		return err == nil && met // between two pages, Evaluate fails
	})
}

// call sends a command of the DevTools protocol.
func call[P, R any](t testing.TB, b *tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		t.Fatalf("in the browser: %v", err)
	}
	return result
}

// pageState is what the page of a counted visit shows.
type pageState struct {
	Visits   int    `json:"visits"`
	Title    string `json:"title"`
	Said     string `json:"said"` // the count, who answered and the contrast
	Sentence string `json:"sentence"`
	Together string `json:"together"`
	Way      string `json:"way"`
	Rows     []struct {
		Instance string `json:"instance"`
		Visits   int    `json:"visits"`
		Current  bool   `json:"current"`
	} `json:"rows"`
	HTML string `json:"html"`
}

const readPage = `(() => {
	const words = (selector) => document.querySelector(selector).textContent.replace(/\s+/g, " ").trim();
	return {
		visits: Number(document.getElementById("visits").textContent),
		title: document.title,
		said: words("#said"),
		sentence: words(".sentence"),
		together: words("caption"),
		way: words("#way"),
		rows: [...document.querySelectorAll("tbody tr")].map((row) => ({
			instance: row.cells[0].textContent.replace(/ this process$/, ""),
			visits: Number(row.cells[2].textContent),
			current: row.ariaCurrent === "true" && row.cells[0].textContent.endsWith(" this process"),
		})),
		html: document.documentElement.outerHTML,
	};
})()`

// read reads the page, whose parts must agree with each other.
func (b *tab) read(t testing.TB) pageState {
	t.Helper()
	s := ask[pageState](t, b, readPage)
	sum, current, here, instance := 0, 0, 0, ""
	names := make(map[string]bool)
	for _, row := range s.Rows {
		sum += row.Visits
		names[row.Instance] = true
		if row.Current {
			current, here, instance = current+1, row.Visits, row.Instance
		}
	}
	if sum != s.Visits || current != 1 || len(s.Rows) > 33 {
		t.Errorf("%d visits, but the ledger has %d, and %d rows of this process: %v", s.Visits, sum, current, s.Rows)
	}
	wants := map[string][]string{
		s.Title: {some(s.Visits, "time") + " · "},
		s.Said: {
			"You have visited " + some(s.Visits, "time"), "Served by " + instance + ", started ",
			"This process has seen you " + some(here, "time"), fmt.Sprintf("would say %d", here),
			fmt.Sprintf("Redis says %d.", s.Visits),
		},
		s.Together: {fmt.Sprintf("Together: %d.", s.Visits)},
		s.Way:      {instance + ", ", " took the request", fmt.Sprintf("Visit %d, ", s.Visits)},
		s.Sentence: {"no visit has been lost"},
	}
	if restarts := len(s.Rows) - len(names); !names["earlier"] && restarts > 0 {
		wants[s.Sentence] = []string{some(len(names), "instance") + " and " + some(restarts, "restart") + " later, no visit has been lost"}
	}
	for text, parts := range wants {
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("the page says %q, without %q", text, part)
			}
		}
	}
	search(t, s.HTML, &http.Cookie{Value: b.cookie(t)})
	return s
}

// cookie returns the visitor's session cookie, "" if there is none.
func (b *tab) cookie(t testing.TB) string {
	t.Helper()
	for _, cookie := range call(t, b, network.GetCookies, network.GetCookiesParams{}).Cookies {
		if strings.HasSuffix(cookie.Name, "session") {
			return cookie.Value
		}
	}
	return ""
}

// count reads the page and compares the count.
func (b *tab) count(t testing.TB, want int) pageState {
	t.Helper()
	s := b.read(t)
	if s.Visits != want {
		t.Fatalf("the page says %d visits, want %d", s.Visits, want)
	}
	return s
}

// awaitCount waits until the page of that visit has loaded completely, and reads it.
func (b *tab) awaitCount(t testing.TB, want int) pageState {
	t.Helper()
	b.await(t, fmt.Sprintf(`document.readyState === "complete" && document.getElementById("visits")?.textContent === "%d"`, want))
	return b.count(t, want)
}

// some joins a number and a noun.
func some(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// wantText fails the test unless the element's text has all these parts.
func (b *tab) wantText(t testing.TB, selector string, parts ...string) {
	t.Helper()
	name, err := json.Marshal(selector)
	must(t, err)
	text := ask[string](t, b, `document.querySelector(`+string(name)+`).textContent.replace(/\s+/g, " ")`)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s says %q, without %q", selector, text, part)
		}
	}
}
