// Package visitor is a browser without a page, for prove and the end-to-end tests: it keeps cookies, visits the app, reads the
// JSON of GET /, and adds up what became of many visits. It imports nothing of the app but how to wait.
package visitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

const (
	requestTimeout = 20 * time.Second
	maxBody        = 1 << 20
)

// ErrRefused reports that a visit was refused as promised: see [Answer.CheckRefusal].
var ErrRefused = errors.New("the visit was refused with 503")

// Page is what is read here of the JSON of GET /.
type Page struct {
	Visits        int       `json:"visits"`
	Instance      string    `json:"instance"`
	StartedAt     time.Time `json:"started_at"`
	Store         string    `json:"store"` // "redis" or "memory"
	Processes     []Process `json:"processes"`
	EarlierVisits int       `json:"earlier_visits"`
	Redis         Redis     `json:"redis"`
}

// Process is a row of the ledger.
type Process struct {
	Instance  string    `json:"instance"`
	StartedAt time.Time `json:"started_at"`
	Visits    int       `json:"visits"`
	Current   bool      `json:"current"`
}

// Redis is what the visit cost.
type Redis struct {
	RoundTrips int `json:"round_trips"`
}

// check returns an error unless the ledger adds up and marks the process that answered.
func (p Page) check() error {
	sum, marked := p.EarlierVisits, 0
	for _, row := range p.Processes {
		sum += row.Visits
		if row.Current {
			marked++
			if row.Instance != p.Instance || !row.StartedAt.Equal(p.StartedAt) {
				return errors.New("the marked row of the ledger is another process's")
			}
		}
	}
	if p.Visits < 1 || sum != p.Visits || marked != 1 {
		return fmt.Errorf("the page says %d visits, but its ledger has %d, and marks %d rows", p.Visits, sum, marked)
	}
	return nil
}

// Answer is what came back for one request, all of it.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Page   Page          // of a visit that was counted
	Took   time.Duration // until the last byte; also set when there was no answer
}

// CheckRefusal returns nil if the answer is what a visitor is promised while Redis cannot be asked: a 503 that says when
// to come back, is not to be stored, and leaves the cookie alone.
func (a Answer) CheckRefusal() error {
	switch {
	case a.Status != http.StatusServiceUnavailable:
		return fmt.Errorf("a visit was answered with %d %s %s", a.Status, http.StatusText(a.Status), a.Header.Get("Location"))
	case a.Header.Get("Set-Cookie") != "":
		return errors.New("a visit was refused with a new cookie")
	case a.Header.Get("Retry-After") == "":
		return errors.New("a visit was refused without Retry-After")
	case a.Header.Get("Cache-Control") != "no-store":
		return errors.New("a visit was refused without Cache-Control: no-store")
	}
	return nil
}

// Visitor is one browser. It is safe for concurrent use.
type Visitor struct {
	url    string
	client *http.Client
}

// New returns a visitor without cookies of the app at address, which has no slash at its end. A nil transport makes a new
// connection for each request: over one that was used before, Go's client may repeat a visit whose answer was lost.
func New(address string, transport http.RoundTripper) *Visitor {
	if transport == nil {
		transport = &http.Transport{DisableKeepAlives: true}
	}
	jar, _ := cookiejar.New(nil) // it never fails
	return &Visitor{url: address, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// At returns the same visitor at another address, as when a router sends it to another instance. They share their cookies
// where the host is the same: cookies have no port.
func (v *Visitor) At(address string) *Visitor { return &Visitor{url: address, client: v.client} }

// Clone returns another visitor with the same cookies. What happens to the cookies of one of them from then on does not
// change those of the other.
func (v *Visitor) Clone() *Visitor {
	clone := New(v.url, v.client.Transport)
	for _, c := range v.Cookies() {
		clone.SetCookie(c.Name, c.Value)
	}
	return clone
}

// Cookies returns the cookies that the next request will carry.
func (v *Visitor) Cookies() []*http.Cookie { return v.client.Jar.Cookies(v.parsed()) }

// SetCookie adds a cookie, or gives another value to the one of that name.
func (v *Visitor) SetCookie(name, value string) {
	u := v.parsed()
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: u.Scheme == "https"}})
}

// parsed returns the visitor's address. A malformed one has no cookies, and the first request reports it.
func (v *Visitor) parsed() *url.URL {
	u, err := url.Parse(v.url + "/")
	if err != nil {
		return &url.URL{}
	}
	return u
}

// Visit asks for the page as JSON. The error of an answer without a count says what there was instead; it is [ErrRefused]
// for a refusal as promised. headers are names and values in turn.
func (v *Visitor) Visit(ctx context.Context, headers ...string) (Answer, error) {
	a, err := v.Request(ctx, http.MethodGet, "/", headers...)
	if err != nil {
		return a, err
	}
	if a.Status != http.StatusOK {
		if err := a.CheckRefusal(); err != nil {
			return a, err
		}
		return a, ErrRefused
	}
	if err := json.Unmarshal([]byte(a.Body), &a.Page); err != nil {
		return a, fmt.Errorf("the answer to a visit is not the JSON of this app: %w", err)
	}
	return a, a.Page.check()
}

// Request sends any request, and follows no redirect. It prefers JSON, as a program would, unless headers (names and
// values in turn) say otherwise.
func (v *Visitor) Request(ctx context.Context, method, path string, headers ...string) (Answer, error) {
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, method, v.url+path, nil)
	if err != nil {
		return Answer{}, err
	}
	r.Header.Set("Accept", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(r)
	if err != nil {
		return Answer{Took: time.Since(began)}, err
	}
	defer func() { _ = response.Body.Close() }()
	var body strings.Builder
	_, err = io.Copy(&body, io.LimitReader(response.Body, maxBody))
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body.String(), Took: time.Since(began)}, err
}
