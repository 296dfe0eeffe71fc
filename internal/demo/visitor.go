package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

const (
	requestTime = 20 * time.Second
	mostBody    = 1 << 20
	pollTime    = 10 * time.Millisecond
)

// visitor is one browser: it keeps the cookies it is given. It is safe for concurrent use.
type visitor struct {
	client *http.Client
	url    string

	mu      sync.Mutex
	cookies map[string]string
}

// answer is what came back for one request, all of it.
type answer struct {
	status int
	header http.Header
	page   page // of a counted visit
	took   time.Duration
}

// page is what GET / says as JSON.
type page struct {
	Visits        int       `json:"visits"`
	Instance      string    `json:"instance"`
	StartedAt     time.Time `json:"started_at"`
	Store         string    `json:"store"`
	EarlierVisits int       `json:"earlier_visits"`
	Processes     []struct {
		Instance string `json:"instance"`
		Visits   int    `json:"visits"`
	} `json:"processes"`
}

// again returns another visitor with the same cookies.
func (v *visitor) again() *visitor {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &visitor{client: v.client, url: v.url, cookies: maps.Clone(v.cookies)}
}

// visit asks for the page. An answer without a count is an error that says what there was instead.
func (v *visitor) visit(ctx context.Context) (answer, error) {
	a, err := v.request(ctx, http.MethodGet, "/")
	if err != nil {
		return a, err
	}
	if a.status != http.StatusOK {
		return a, fmt.Errorf("a visit was answered with %d %s%s", a.status, http.StatusText(a.status), whither(a))
	}
	sum := a.page.EarlierVisits
	for _, p := range a.page.Processes {
		sum += p.Visits
	}
	if a.page.Visits < 1 || sum != a.page.Visits {
		return a, fmt.Errorf("the rows of the ledger add up to %d, the count says %d", sum, a.page.Visits)
	}
	return a, nil
}

// whither says where a redirect leads: to the right --url, as a rule.
func whither(a answer) string {
	if to := a.header.Get("Location"); to != "" {
		return " to " + to
	}
	return ""
}

// request sends a request as a program would: it prefers JSON, and follows no redirect. Header names and values
// alternate.
func (v *visitor) request(ctx context.Context, method, path string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, v.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	v.addCookies(r)
	start := time.Now()
	response, err := v.client.Do(r)
	if err != nil {
		return answer{took: time.Since(start)}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBody))
	a := answer{status: response.StatusCode, header: response.Header, took: time.Since(start)}
	if err != nil {
		return a, err
	}
	v.takeCookies(response)
	if path == "/" && method == http.MethodGet && a.status == http.StatusOK {
		if err := json.Unmarshal(body, &a.page); err != nil {
			return a, fmt.Errorf("the answer to a visit is not the JSON of this app: %w", err)
		}
	}
	return a, nil
}

func (v *visitor) addCookies(r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
}

func (v *visitor) takeCookies(response *http.Response) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range response.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
			continue
		}
		v.cookies[c.Name] = c.Value
	}
}

// tally adds up the answers to many visits. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	sent     int
	answered int
	seen     map[int]int    // how many pages showed each number
	per      map[string]int // visits that each instance answered
	longest  time.Duration
	err      error // one of those that went wrong
}

func newTally() *tally { return &tally{seen: make(map[int]int), per: make(map[string]int)} }

func (t *tally) add(a answer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	t.longest = max(t.longest, a.took)
	if err != nil {
		t.err = err
		return
	}
	t.answered++
	t.seen[a.page.Visits]++
	t.per[a.page.Instance]++
}

// done returns how many visits have ended.
func (t *tally) done() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// await returns when n visits have ended, or with ctx's error.
func (t *tally) await(ctx context.Context, n int) error {
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for t.done() < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// figures returns the sum so far, with the number of visits that the app says it counted.
func (t *tally) figures(counted int) figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return figures{
		Sent: t.sent, Answered: t.answered, Counted: counted, PerInstance: maps.Clone(t.per),
		LongestWait: milliseconds(t.longest),
	}
}

// exact returns nil if each of the visits was answered, with a number of its own, and counted once.
func (t *tally) exact(counted int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.err != nil:
		return fmt.Errorf("%d of %d visits went wrong: %w", t.sent-t.answered, t.sent, t.err)
	case counted != t.sent:
		return fmt.Errorf("%d visits were counted as %d", t.sent, counted)
	}
	return t.distinct()
}

// bounded returns nil if each answered visit was counted once, and each of the others, which are few, once at most.
func (t *tally) bounded(counted int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if counted < t.answered || counted > t.sent {
		return fmt.Errorf("of %d visits %d were answered, but %d counted", t.sent, t.answered, counted)
	}
	if lost := t.sent - t.answered; lost > workers {
		return fmt.Errorf("%d visits were not answered, though only %d can have been under way: %w", lost, workers, t.err)
	}
	return t.distinct()
}

func (t *tally) distinct() error {
	for number, pages := range t.seen {
		if pages > 1 {
			return fmt.Errorf("%d pages said that theirs was visit number %d", pages, number)
		}
	}
	return nil
}
