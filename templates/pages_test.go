package templates_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"visit-counter/internal/config"
	"visit-counter/static"
	"visit-counter/templates"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

var now = time.Date(2026, 11, 21, 9, 21, 7, 0, time.UTC)

// state is a page with its data: exactly one of home and problem is set.
type state struct {
	settings templates.Settings
	home     *templates.Home
	problem  *templates.Problem
}

// visit is a visit in the middle of a session: four instances behind a router, and three restarts.
func visit() state {
	return state{
		settings: templates.Settings{
			Instance: "web.2", Started: now.Add(-3 * time.Minute), Store: config.StoreRedis,
			RedisSource: "REDIS_URL", RedisAddress: "127.0.0.1:6379", RedisCLI: "redis-cli -p 6379",
			KeyPrefix: "visits:", CookieName: "session", DemoControls: true,
		},
		home: &templates.Home{
			Now: now, Visits: 12, Instances: 4, Restarts: 3, FirstVisit: now.Add(-13 * time.Hour),
			ExpiresIn: 24*time.Hour - time.Millisecond, ID: "k3Jd9a…", Router: "X-Request-Id: 0a1b2c…",
			RedisCommands: []string{"EVALSHA 6f1c0a… 1 visits:session:k3Jd9a… …"}, RoundTrips: 1, RedisTime: 312 * time.Microsecond,
			Rows: []templates.Row{
				{Instance: "web.1", Started: now.Add(-14 * time.Hour), Visits: 2},
				{Instance: "web.2", Started: now.Add(-14 * time.Hour), Visits: 1},
				{Instance: "web.3", Started: now.Add(-13 * time.Hour), Visits: 1},
				{Instance: "web.4", Started: now.Add(-13 * time.Hour), Visits: 2},
				{Instance: "web.1", Started: now.Add(-40 * time.Minute), Visits: 1},
				{Instance: "web.3", Started: now.Add(-30 * time.Minute), Visits: 2},
				{Instance: "web.2", Started: now.Add(-3 * time.Minute), Visits: 3, Current: true},
			},
		},
	}
}

func firstVisit() state {
	s := visit()
	s.settings.DemoControls = false
	s.home.Visits, s.home.Instances, s.home.Restarts, s.home.New, s.home.Router = 1, 1, 0, true, ""
	s.home.FirstVisit = now
	s.home.Rows = []templates.Row{{Instance: "web.2", Started: s.settings.Started, Visits: 1, Current: true}}
	return s
}

func inMemory() state {
	s := firstVisit()
	s.settings.Store, s.settings.RedisCLI = config.StoreMemory, ""
	s.home.Visits, s.home.New = 3, false
	s.home.Rows[0].Visits = 3
	return s
}

func folded() state {
	s := visit()
	s.home.Visits, s.home.Earlier, s.home.Instances, s.home.Restarts, s.home.Rows = 123456, 123456-40, 9, 40, nil
	for i := range 31 {
		s.home.Rows = append(s.home.Rows, templates.Row{
			Instance: fmt.Sprintf("web.%d", i%9+1), Started: now.Add(time.Duration(i-40) * time.Hour), Visits: 1,
		})
	}
	s.home.Rows = append(s.home.Rows, templates.Row{Instance: "web.2", Started: s.settings.Started, Visits: 9, Current: true})
	return s
}

const hostileName = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.Slot.ID}}`

func hostile() state {
	s := visit()
	s.settings.Instance = hostileName
	s.settings.CookieName, s.settings.KeyPrefix = hostileName, hostileName
	s.settings.RedisAddress, s.settings.RedisSource, s.settings.RedisCLI = hostileName, hostileName, hostileName
	s.home.Router, s.home.RedisCommands = hostileName, []string{hostileName}
	s.home.ID = hostileName
	s.home.Rows[6].Instance = hostileName
	s.home.Rows[5].Instance = "</td></table>&amp;" + hostileName
	return s
}

func unverified() state {
	s := visit()
	s.settings.Unverified = true
	return s
}

func states() map[string]state {
	all := map[string]state{
		"visit": visit(), "first": firstVisit(), "memory": inMemory(), "folded": folded(), "hostile": hostile(),
		"unverified": unverified(), "empty": {settings: visit().settings, home: &templates.Home{}},
	}
	for name, p := range map[string]templates.Problem{
		"not-found":            templates.NotFound(),
		"method-not-allowed":   templates.MethodNotAllowed(),
		"forbidden":            templates.Forbidden(),
		"internal":             templates.Internal(),
		"unavailable":          templates.Unavailable("Redis is out of memory.", "Give it more memory."),
		"reset-failed":         templates.ResetFailed(),
		"no-redis":             templates.NoRedis(config.Local, ""),
		"no-redis-heroku":      templates.NoRedis(config.Heroku, "my-app"),
		"no-redis-cf":          templates.NoRedis(config.CloudFoundry, "my-app"),
		"no-redis-cf-nameless": templates.NoRedis(config.CloudFoundry, ""),
		"prefetch":             templates.Prefetch(),
		"stopping":             templates.Stopping("web.2"),
		"stopping-hostile":     templates.Stopping(hostileName),
	} {
		all[name] = state{settings: visit().settings, problem: &p}
	}
	return all
}

func newPages(t testing.TB, s templates.Settings) *templates.Pages {
	t.Helper()
	pages, err := templates.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// render returns the page.
func (s state) render(t testing.TB) string {
	t.Helper()
	var w bytes.Buffer
	pages := newPages(t, s.settings)
	var err error
	if s.home != nil {
		err = pages.Home(&w, *s.home)
	} else {
		err = pages.Problem(&w, *s.problem)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.String()
}

// elements parses a page and returns its elements by name, and all of them as "*".
func elements(t *testing.T, page string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]*html.Node{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			found[n.Data] = append(found[n.Data], n)
			found["*"] = append(found["*"], n)
		}
	}
	return found
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// words returns the text of an element with single spaces.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestPagesMatchTheirGoldenFiles(t *testing.T) {
	readable := strings.NewReplacer( // so that a new style or script does not change every page
		static.Style.URL, "/static/style.css",
		static.Script.URL, "/static/script.js",
		static.Icon.URL, "/static/favicon.svg",
		"><", ">\n<", // so that diffs are by line
	)
	for _, name := range []string{"visit", "first", "memory", "unavailable", "no-redis-cf", "stopping"} {
		t.Run(name, func(t *testing.T) {
			got := readable.Replace(states()[name].render(t))
			golden := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the page differs from %s; if it should, run: go test ./templates -update\n%s", golden, got)
			}
		})
	}
}

func TestWordsAndHooksStay(t *testing.T) {
	for _, c := range []struct {
		state string
		want  []string
	}{
		{"visit", []string{
			"Served by web.2", "started 3 minutes ago", "This process has seen you 3 times", "would say 3", "Redis says 12",
			"4 instances and 3 restarts later, no visit has been lost", "this process", "visits:session:k3Jd9a…",
			"1 command: load the session, add 1 to visits and 1 to this process, renew it for 24 hours. 1 round trip, 0.31 ms.",
			"EVALSHA 6f1c0a… 1 visits:session:k3Jd9a… …", "The address came from REDIS_URL",
			"127.0.0.1:6379", "X-Request-Id: 0a1b2c…", "24 hours", "'visits:session:k3Jd9a*'",
			">Visit again</button>", ">Start over</button>", ">Stop this instance</button>",
		}},
		{"first", []string{
			"Served by web.2", "This process has seen you 1 time.", "would say 1", "Redis says 1",
			"This is your first visit", "It had no session yet", "1 instance so far, no restart yet, and no visit has been lost",
			"1 command: begin a session, add 1 to visits and 1 to this process, keep it for 24 hours.", "Visit 1, and a cookie for 24 hours",
		}},
		{"memory", []string{
			"Sessions are in memory only", "every count is lost", "REDIS_URL=", "redis://127.0.0.1:6379",
			"This process has seen you 3 times", "would say 3", "After a restart, it starts again at 1.",
			"Only this process knows of you, and no visit has been lost yet", "This memory is a Redis embedded in the process.",
		}},
		{"folded", []string{">earlier<", ">123416<", "this process", "9 instances and 40 restarts later"}},
		{"unverified", []string{"the certificate of this Redis is not verified"}},
	} {
		page := html.UnescapeString(states()[c.state].render(t))
		for _, want := range c.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page does not say %q", c.state, want)
			}
		}
	}
}

func TestThePageHasItsLandmarks(t *testing.T) {
	for name, s := range states() {
		page := elements(t, s.render(t))
		if n := len(page["h1"]); n != 1 {
			t.Errorf("%s: %d h1; want 1", name, n)
		}
		if len(page["main"]) != 1 || len(page["header"]) != 1 {
			t.Errorf("%s: want one main and one header", name)
		}
		if s.home == nil {
			continue
		}
		if len(page["ol"]) != 1 || len(page["li"]) != 5 {
			t.Errorf("%s: %d ol with %d li; want 1 with 5", name, len(page["ol"]), len(page["li"]))
		}
		var visits []string
		for _, n := range page["*"] {
			if attr(n, "id") == "visits" {
				visits = append(visits, words(n))
			}
		}
		if want := []string{fmt.Sprint(s.home.Visits)}; !slices.Equal(visits, want) {
			t.Errorf("%s: id=visits holds %q; want %q", name, visits, want)
		}
		var columns []string
		for _, th := range page["th"] {
			if attr(th, "scope") == "col" {
				columns = append(columns, words(th))
			}
		}
		if want := []string{"Instance", "Started", "Visits"}; !slices.Equal(columns, want) {
			t.Errorf("%s: columns %q; want %q", name, columns, want)
		}
	}
}

func TestTheLedgerMarksTheProcessThatAnswers(t *testing.T) {
	rows := elements(t, visit().render(t))["tr"]
	var got []string
	for _, tr := range rows[1:] {
		got = append(got, words(tr))
	}
	want := []string{
		"web.12026-11-20 19:21:072", "web.22026-11-20 19:21:071", "web.32026-11-20 20:21:071",
		"web.42026-11-20 20:21:072", "web.12026-11-21 08:41:071", "web.32026-11-21 08:51:072",
		"web.2 this process2026-11-21 09:18:073",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFoldedVisitsComeFirst(t *testing.T) {
	rows := elements(t, folded().render(t))["tr"]
	if got := words(rows[1]); len(rows) != 1+1+32 || got != "earlierolder processes123416" {
		t.Errorf("%d rows, the first %q; want the header, the folded row and 32 more", len(rows), got)
	}
}

func TestHostileTextIsOnlyText(t *testing.T) {
	for _, name := range []string{"hostile", "stopping-hostile"} {
		page := elements(t, states()[name].render(t))
		if scripts, images := len(page["script"]), len(page["img"]); scripts != 1 || images != 1 {
			t.Errorf("%s: %d scripts and %d images; want only the page's own, one of each", name, scripts, images)
		}
	}
	page := elements(t, hostile().render(t))
	if got, want := words(page["tr"][7].FirstChild), hostileName+" this process"; got != want {
		t.Errorf("the row says %q; want %q", got, want)
	}
	if got, want := words(page["tr"][6].FirstChild), "</td></table>&amp;"+hostileName; got != want {
		t.Errorf("the row says %q; want %q", got, want)
	}
}

func TestNothingIsInline(t *testing.T) {
	for name, s := range states() {
		for _, n := range elements(t, s.render(t))["*"] {
			if n.Data == "style" || n.Data == "script" && (n.FirstChild != nil || attr(n, "src") == "") {
				t.Errorf("%s: inline <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
				if strings.Contains(a.Val, "//") && s.home != nil && name != "hostile" {
					t.Errorf("%s: <%s %s=%q> leads elsewhere", name, n.Data, a.Key, a.Val)
				}
			}
		}
	}
}

func TestStopIsOfferedOnlyWithDemoControls(t *testing.T) {
	if page := firstVisit().render(t); strings.Contains(page, "/stop") {
		t.Error("the page offers /stop without demo controls")
	}
}

func TestOnlyAPageInMemorySaysSo(t *testing.T) {
	if page := visit().render(t); strings.Contains(page, "memory only") || strings.Contains(page, "embedded") {
		t.Error("a page with Redis mentions memory")
	}
	first := inMemory()
	first.home.Visits, first.home.New, first.home.Rows[0].Visits = 1, true, 1
	for _, s := range []state{inMemory(), first} {
		page := s.render(t)
		for _, claim := range []string{"Redis says", "nothing would be lost", "both say the same", "goes on"} {
			if strings.Contains(page, claim) {
				t.Errorf("a page in memory says %q", claim)
			}
		}
	}
}

func TestEveryProblemSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, s := range states() {
		if s.problem == nil {
			continue
		}
		p := s.problem
		if p.Status < 200 || p.Title == "" || p.Wrong == "" || p.Todo == "" {
			t.Errorf("%s: %+v lacks a status, a title, what is wrong or what to do", name, *p)
		}
		if strings.HasSuffix(p.Title, ".") || !strings.HasSuffix(p.Wrong, ".") || !strings.HasSuffix(p.Todo, ".") {
			t.Errorf("%s: want a title without a full stop and sentences with one: %+v", name, *p)
		}
		page := s.render(t)
		button := "Back to the counter"
		if p.Status >= http.StatusInternalServerError { // the problem may be temporary
			button = "Try again"
		}
		if strings.Count(page, `class="main">`+button+"</button>") != 1 || strings.Count(page, "</button>") != 1 {
			t.Errorf("%s: the one button does not say %q", name, button)
		}
		if got := strings.Contains(page, "Your count is safe."); got != p.CountSafe {
			t.Errorf("%s: says that the count is safe: %v; want %v", name, got, p.CountSafe)
		}
		s.settings.Store = config.StoreMemory
		if strings.Contains(s.render(t), "Your count is safe.") {
			t.Errorf("%s: says that a count in memory is safe", name)
		}
	}
}

func TestCommandsNameTheApp(t *testing.T) {
	for _, c := range []struct {
		problem templates.Problem
		want    []string
	}{
		{templates.NoRedis(config.Heroku, ""), []string{"heroku addons:create heroku-redis:mini"}},
		{templates.NoRedis(config.Heroku, "x"), []string{"heroku addons:create heroku-redis:mini --app x"}},
		{templates.NoRedis(config.CloudFoundry, ""), []string{
			"cf create-service SERVICE PLAN my-redis", "cf bind-service visit-counter my-redis", "cf restage visit-counter",
		}},
		{templates.NoRedis(config.CloudFoundry, "x"), []string{
			"cf create-service SERVICE PLAN my-redis", "cf bind-service x my-redis", "cf restage x",
		}},
		{templates.NoRedis(config.CloudFoundry, "my app's"), []string{
			"cf create-service SERVICE PLAN my-redis", `cf bind-service 'my app'\''s' my-redis`, `cf restage 'my app'\''s'`,
		}},
	} {
		if !slices.Equal(c.problem.Commands, c.want) {
			t.Errorf("commands = %q; want %q", c.problem.Commands, c.want)
		}
		page := elements(t, state{settings: visit().settings, problem: &c.problem}.render(t))
		for i, want := range c.want {
			if got := words(page["code"][i]); got != want {
				t.Errorf("the page shows %q; want %q", got, want)
			}
		}
	}
}

func TestNoPageReloadsByItselfWithoutAScript(t *testing.T) {
	for name, s := range states() {
		for _, meta := range elements(t, s.render(t))["meta"] {
			if attr(meta, "http-equiv") != "" {
				t.Errorf("%s: <meta http-equiv=%q>; a page that reloads while people read it is a barrier (WCAG F41)", name, attr(meta, "http-equiv"))
			}
		}
	}
}

func TestAllRequestsTogetherStayUnder30KB(t *testing.T) {
	loaded := 0
	for _, file := range static.All {
		w := httptest.NewRecorder()
		file.ServeHTTP(w, httptest.NewRequest(http.MethodGet, file.URL, nil))
		loaded += w.Body.Len()
	}
	s := visit()
	s.home.Rows = s.home.Rows[3:]
	if page := len(s.render(t)); page > 6_000 {
		t.Errorf("the page with 4 rows is %d bytes; want at most 6000", page)
	}
	if total := len(folded().render(t)) + loaded; total > 30_000 {
		t.Errorf("the heaviest page and its files are %d bytes; want at most 30000", total)
	}
}

func TestAFailedWriteIsReported(t *testing.T) {
	pages := newPages(t, visit().settings)
	if err := pages.Home(fullDisk{}, *visit().home); !errors.Is(err, errFull) {
		t.Errorf("Home = %v; want %v", err, errFull)
	}
	if err := pages.Problem(fullDisk{}, templates.NotFound()); !errors.Is(err, errFull) {
		t.Errorf("Problem = %v; want %v", err, errFull)
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func BenchmarkHome(b *testing.B) {
	s := visit()
	s.home.Rows = s.home.Rows[3:]
	pages := newPages(b, s.settings)
	var w bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		if err := pages.Home(&w, *s.home); err != nil {
			b.Fatal(err)
		}
	}
}
