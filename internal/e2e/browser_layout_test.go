package e2e

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// faultsOfLayout returns what is wrong with the layout of the page, as a list of sentences.
//
//go:embed testdata/layout.js
var faultsOfLayout string

// addHistory adds earlier processes to the visitor's session in Redis, with about this many visits each. If there are many,
// it leaves out the rows of the oldest, as the app does.
func (b *tab) addHistory(t testing.TB, server *redisserver.Server, visits int, instances ...string) {
	t.Helper()
	const maxRows = 32 // including that of the running process
	began := time.Now().Add(-time.Duration(len(instances)+1) * time.Hour).UTC()
	fields := map[string]any{"@created": began.Add(61 * time.Minute).UnixMilli()} // after the start of the first process
	total, processes := 0, 0
	for n, name := range instances {
		began = began.Add(time.Hour)
		more := visits + 7*n%5
		total += more
		if len(instances)-n >= maxRows {
			processes++
			fields["earlier_processes"] = processes
			continue
		}
		fields["process:"+began.Format("2006-01-02T15:04:05.000Z")+" "+name] = more
	}
	rdb := redistest.Client(t, server)
	keys := rdb.Keys(t.Context(), "visits:session:*").Val()
	if len(keys) != 1 {
		t.Fatalf("there are %d sessions in Redis, want 1", len(keys))
	}
	must(t, rdb.HSet(t.Context(), keys[0], fields).Err())
	must(t, rdb.HIncrBy(t.Context(), keys[0], "visits", int64(total)).Err())
}

// longLife is the history of a visitor of four instances, three of which were restarted.
func longLife() []string {
	return []string{"web.1", "web.2", "web.3", "web.4", "web.1", "web.3", "web.2"}
}

// screens are the pages that a visitor can see, each with the steps that open it.
func screens() map[string]func(testing.TB) *tab {
	return map[string]func(testing.TB) *tab{
		"first visit":   func(t testing.TB) *tab { return opened(t, "/", "REDIS_URL="+redistest.Start(t).URL()) },
		"long life":     func(t testing.TB) *tab { return withHistory(t, "web.2", 170, longLife()...) },
		"many restarts": func(t testing.TB) *tab { return withHistory(t, "web.2", 9_999, slices.Repeat(longLife(), 6)...) },
		"eight digits":  func(t testing.TB) *tab { return withHistory(t, "web.2", 1_700_000, longLife()...) },
		"long names": func(t testing.TB) *tab {
			return withHistory(t, "counter-7d9f8b6c5d-x2x4q.production.svc.cluster.local:8080", 12, "anotherverylonghostnamewithoutanydotinit-0123456789:65535")
		},
		"memory":         func(t testing.TB) *tab { return opened(t, "/", "SESSION_STORE=memory") },
		"Redis away":     func(t testing.TB) *tab { return opened(t, "/", "REDIS_URL=redis://127.0.0.1:1") },
		"no Redis bound": func(t testing.TB) *tab { return opened(t, "/", `VCAP_APPLICATION={"name":"a"}`, "CF_INSTANCE_INDEX=3") },
		"unknown path":   func(t testing.TB) *tab { return opened(t, "/nothing", "REDIS_URL=redis://127.0.0.1:1") },
		"stopping": func(t testing.TB) *tab {
			b := opened(t, "/", "REDIS_URL="+redistest.Start(t).URL(), "INSTANCE=counter-7d9f8b6c5d-x2x4q.local", "DEMO_CONTROLS=true")
			b.press(t, "Stop this instance")
			return b
		},
		"25 at once": func(t testing.TB) *tab {
			b := withHistory(t, "web.2", 170, longLife()...)
			b.burst(t)
			return b
		},
	}
}

func opened(t testing.TB, path string, env ...string) *tab {
	t.Helper()
	i := start(t, env...)
	b := newTab(t)
	b.tolerate("503", "404", "/readyz")
	b.open(t, i.url+path)
	return b
}

// withHistory opens the page of a visitor with a history.
func withHistory(t testing.TB, instance string, visits int, past ...string) *tab {
	t.Helper()
	server := redistest.Start(t)
	r := newRouter(t, routerOptions{}, start(t, "REDIS_URL="+server.URL(), longTimeout, "INSTANCE="+instance, "DEMO_CONTROLS=true"))
	b := newTab(t)
	b.open(t, r.url)
	b.addHistory(t, server, visits, past...)
	b.reload(t)
	b.read(t)
	return b
}

// media emulates media types and features.
func (b *tab) media(t testing.TB, medium string, features ...string) {
	t.Helper()
	params := emulation.SetEmulatedMediaParams{Media: medium}
	for pair := range slices.Chunk(features, 2) {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: pair[0], Value: pair[1]})
	}
	call(t, b, emulation.SetEmulatedMedia, params)
}

// fontSize sets the reader's preferred text size, in pixels.
func (b *tab) fontSize(t testing.TB, pixels int64) {
	t.Helper()
	call(t, b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: pixels, Fixed: pixels * 13 / 16}})
}

func TestEveryPageFitsEveryScreen(t *testing.T) {
	t.Parallel()
	for name, open := range screens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			for _, screen := range []struct{ width, height, text int64 }{
				{320, 568, 16}, {375, 667, 20}, {768, 1024, 16}, {1280, 800, 16}, {1366, 768, 16}, {2560, 1440, 16},
				{683, 384, 16}, // 1366 × 768 at 200 %
				{768, 1024, 32}, {1280, 800, 32},
			} {
				b.do(t, chromedp.EmulateViewport(screen.width, screen.height))
				b.fontSize(t, screen.text)
				for _, scheme := range []string{"light", "dark"} {
					b.media(t, "", "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce") // no colour in transition
					for _, fault := range ask[[]string](t, b, faultsOfLayout) {
						t.Errorf("%d × %d, %s, text of %d px: %s", screen.width, screen.height, scheme, screen.text, fault)
					}
				}
			}
		})
	}
}

func TestThePictureStandsAboveItsWords(t *testing.T) {
	t.Parallel()
	b := withHistory(t, "web.2", 170, longLife()...)
	// The distance of each of the five boxes from its text, and of the end of the last box from the end of the card's
	// content, in pixels.
	const apart = `(() => {
		const side = (e, side) => e.getBoundingClientRect()[side];
		const [browser, router, instances, redis, answer] = document.querySelectorAll(".picture > *");
		const words = [...document.querySelectorAll("ol > li")].map((li) => side(li, "left") - parseFloat(getComputedStyle(li).marginLeft));
		return [browser, router, instances, redis, answer].map((box, i) => side(box, "left") - words[i]).concat(
			side(answer, "right") - side(document.querySelector("ol"), "right"));
	})()`
	for _, width := range []int64{1150, 1280, 1366, 2560} {
		b.do(t, chromedp.EmulateViewport(width, 800))
		if !ask[bool](t, b, `document.querySelector("li:nth-child(5)").offsetTop === document.querySelector("li").offsetTop`) {
			t.Fatalf("%d px: the words are not side by side", width)
		}
		for i, distance := range ask[[]float64](t, b, apart) {
			if math.Abs(distance) > 2 {
				t.Errorf("%d px: edge %d of the picture is %.0f px from that of the words", width, i+1, distance)
			}
		}
	}
}

func TestTheFirstScreenShowsWhatMatters(t *testing.T) {
	t.Parallel()
	b := withHistory(t, "web.2", 170, longLife()...)
	b.do(t, chromedp.EmulateViewport(1366, 768))
	for _, selector := range []string{"#visits", ".served", ".contrast", "button.main", "#ledger h2", "#ledger .sentence", "#ledger tbody tr"} {
		if bottom := ask[float64](t, b, fmt.Sprintf("document.querySelector(%q).getBoundingClientRect().bottom", selector)); bottom > 768 {
			t.Errorf("%s ends at %.0f px", selector, bottom)
		}
	}
	size := func(selector string) float64 {
		return ask[float64](t, b, fmt.Sprintf("parseFloat(getComputedStyle(document.querySelector(%q)).fontSize)", selector))
	}
	if number, text := size("#visits"), size("body"); number < 2*text {
		t.Errorf("the number is %.0f px high, the text %.0f", number, text)
	}
}

// style reads a property of an element.
func style(t testing.TB, b *tab, selector, property string) string {
	t.Helper()
	return ask[string](t, b, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).getPropertyValue(%q)", selector, property))
}

// brightness of a colour such as "rgb(245, 244, 239)", from 0 to 1.
func brightness(t testing.TB, colour string) float64 {
	t.Helper()
	var r, g, b float64
	if _, err := fmt.Sscanf(colour, "rgb(%f, %f, %f)", &r, &g, &b); err != nil {
		t.Fatalf("%q is not a colour: %v", colour, err)
	}
	return math.Round((r+g+b)/3/255*100) / 100
}

func TestColoursFollowTheReader(t *testing.T) {
	t.Parallel()
	b := withHistory(t, "web.2", 170, longLife()...)
	for _, c := range []struct {
		name, medium, feature, value string
		paper, ink                   func(float64) bool
	}{
		{"light", "", "prefers-color-scheme", "light", bright, dim},
		{"dark", "", "prefers-color-scheme", "dark", dim, bright},
		{"dark, printed", "print", "prefers-color-scheme", "dark", bright, dim},
	} {
		b.media(t, c.medium, c.feature, c.value)
		for _, part := range []struct{ selector, property string }{{"body", "background-color"}, {".card", "background-color"}, {".current th", "background-color"}} {
			if got := style(t, b, part.selector, part.property); !c.paper(brightness(t, got)) {
				t.Errorf("%s: the background of %s is %s", c.name, part.selector, got)
			}
		}
		if got := style(t, b, "body", "color"); !c.ink(brightness(t, got)) {
			t.Errorf("%s: the text is %s", c.name, got)
		}
	}
}

func bright(v float64) bool { return v > 0.75 }
func dim(v float64) bool    { return v < 0.25 }

func TestForcedColoursKeepTheMarks(t *testing.T) {
	t.Parallel()
	b := withHistory(t, "web.2", 170, longLife()...)
	for _, scheme := range []string{"light", "dark"} {
		b.media(t, "", "forced-colors", "active", "prefers-color-scheme", scheme)
		if !ask[bool](t, b, "matchMedia('(forced-colors: active)').matches") {
			t.Fatal("this browser does not support forced colours")
		}
		if got := style(t, b, ".current", "outline-style"); got != "solid" {
			t.Errorf("%s: the row of this process has the outline %q", scheme, got)
		}
		paper := style(t, b, "body", "background-color")
		for _, bar := range []string{"tbody tr:not(.current) rect", ".current rect"} {
			if got := style(t, b, bar, "fill"); got == paper {
				t.Errorf("%s: %s cannot be seen: it is %s on %s", scheme, bar, got, paper)
			}
		}
		box, name := style(t, b, ".picture .lit", "background-color"), style(t, b, ".picture .lit", "color")
		if box == name || box == paper {
			t.Errorf("%s: the name of the lit instance is %s on %s, which is %s beside the others", scheme, name, box, paper)
		}
	}
}

func TestNothingMovesForThoseWhoWantItStill(t *testing.T) {
	t.Parallel()
	b := opened(t, "/", "REDIS_URL="+redistest.Start(t).URL())
	moving := `[...document.querySelectorAll("*")].some((e) =>
		getComputedStyle(e).transitionDuration !== "0s" || getComputedStyle(e).animationName !== "none")`
	if !ask[bool](t, b, moving) {
		t.Error("nothing moves without the preference either")
	}
	b.media(t, "", "prefers-reduced-motion", "reduce")
	if ask[bool](t, b, moving) {
		t.Error("something moves")
	}
}

func TestPrintsOnThreePages(t *testing.T) {
	t.Parallel()
	for name, pages := range map[string]int{"long life": 2, "many restarts": 3, "memory": 2, "Redis away": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := screens()[name](t)
			b.media(t, "", "prefers-color-scheme", "dark")
			sheets := 0
			for sheets <= pages {
				_, err := chromedp.Call(b.ctx, page.PrintToPDF, page.PrintToPDFParams{
					PaperWidth: 8.27, PaperHeight: 11.69, PageRanges: fmt.Sprint(sheets + 1),
				})
				if err != nil && strings.Contains(err.Error(), "Page range exceeds page count") {
					break
				}
				must(t, err)
				sheets++
			}
			if sheets == 0 || sheets > pages {
				t.Errorf("it prints on %d or more pages of A4, want at most %d", sheets, pages)
			}
		})
	}
}
