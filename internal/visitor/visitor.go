// Package visitor is a browser without a page, for prove and the end-to-end tests: it keeps cookies, visits the app, reads the
// JSON of GET /, and adds up the results of many visits. It imports nothing of the app except poll.
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

// Page has the fields that this package reads from the JSON of GET /.
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

// check returns an error unless the ledger adds up, and marks the process that answered.
func (p Page) check() error {
	sum, marked := p.EarlierVisits, 0
	for _, row := range p.Processes {
		sum += row.Visits
		if row.Current {
			marked++
			if row.Instance != p.Instance || !row.StartedAt.Equal(p.StartedAt) {
				return errors.New("the ledger marks the row of another process")
			}
		}
	}
	if p.Visits < 1 || sum != p.Visits || marked != 1 {
		return fmt.Errorf("the page says %d visits, but its ledger has %d, and marks %d rows", p.Visits, sum, marked)
	}
	return nil
}

// Answer is the complete answer to one request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Page   Page          // only of a counted visit
	Took   time.Duration // until the last byte; also set if there was no answer
}

// CheckRefusal returns nil if the answer is the refusal that the app promises while Redis is unreachable: a 503 with
// Retry-After and Cache-Control: no-store, and without a cookie.
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

// New returns a visitor of the app at address, which has no trailing slash. The visitor has no cookies yet. A nil transport
// makes a new connection for each request: on a reused one, Go's client may repeat a visit whose answer was lost.
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

// At returns the same visitor at another address, as if a router had sent it to another instance. Both use the same cookies
// if the host is the same: cookies ignore the port.
func (v *Visitor) At(address string) *Visitor { return &Visitor{url: address, client: v.client} }

// Clone returns another visitor with a copy of the cookies. Later changes to the cookies of one visitor do not affect the
// other.
func (v *Visitor) Clone() *Visitor {
	clone := New(v.url, v.client.Transport)
	for _, c := range v.Cookies() {
		clone.SetCookie(c.Name, c.Value)
	}
	return clone
}

// Cookies returns the cookies that the next request will carry.
func (v *Visitor) Cookies() []*http.Cookie { return v.client.Jar.Cookies(v.parsed()) }

// SetCookie adds a cookie, or changes the value of the existing one with that name.
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

// Visit requests the page as JSON. If the answer has no count, the error says what it has instead, and is [ErrRefused] if it
// is the promised refusal. headers alternate names and values.
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

// Request sends any request, and follows no redirect. It asks for JSON unless headers, which alternate names and values, say
// otherwise.
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
