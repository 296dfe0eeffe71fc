package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"visit-counter/internal/fleet"
	"visit-counter/internal/visitor"
)

// check is one thing to prove.
type check struct {
	name   string
	inside bool // needs the local fleet, because it breaks something
	server bool // also needs a redis-server
	prove  func(ctx context.Context, t *trial) (figures string, err error)
}

// checks returns all checks, in the order in which they run.
func checks() []check {
	return []check{
		{name: "the count rises", prove: countRises},
		{name: "every instance serves", prove: everyInstanceServes},
		{name: "only visits count", prove: onlyVisitsCount},
		{name: "the cookie is protected", prove: cookieProtected},
		{name: "start over", prove: startOver},
		{name: "visits at once are exact", prove: concurrentVisits},
		{name: "reset wins over requests under way", inside: true, prove: resetWins},
		{name: "all instances restarted", inside: true, prove: allRestarted},
		{name: "an instance killed under load", inside: true, prove: instanceKilled},
		{name: "rolling restart under load", inside: true, prove: rollingRestart},
		{name: "Redis killed and started with its file", inside: true, server: true, prove: redisRestarted},
		{name: "Redis hung and back", inside: true, server: true, prove: redisHung},
		{name: "without Redis it fails, as it should", inside: true, prove: memoryFails},
	}
}

// noLimit is the time limit for answers where no promise sets one.
const noLimit = time.Minute

// returningVisitor returns a new visitor who has visited n times.
func (t *trial) returningVisitor(ctx context.Context, n int) (*visitor.Visitor, error) {
	v, tally := t.newVisitor(), new(visitor.Tally)
	tally.Visits(ctx, v, n)
	return v, tally.CheckExact(tally.Sum().Highest, noLimit)
}

// countRises proves that each visit gets the next number.
func countRises(ctx context.Context, t *trial) (string, error) {
	const n = 10
	v, tally := t.newVisitor(), new(visitor.Tally)
	for i := range n {
		a, err := v.Visit(ctx)
		tally.Add(a, err)
		if err == nil && a.Page.Visits != i+1 {
			err = fmt.Errorf("visit %d was counted as number %d", i+1, a.Page.Visits)
		}
		if err != nil {
			return measured(tally, a.Page.Visits), err
		}
	}
	return measured(tally, n), nil
}

// everyInstanceServes proves that all instances serve the same browser, and continue each other's count.
func everyInstanceServes(ctx context.Context, t *trial) (string, error) {
	const rounds, outside = 5, 30
	n := rounds * t.instances
	if t.fleet == nil {
		n = outside
	}
	tally := new(visitor.Tally)
	tally.Visits(ctx, t.newVisitor(), n)
	sum := tally.Sum()
	f := measured(tally, sum.Highest)
	if err := tally.CheckExact(sum.Highest, noLimit); err != nil {
		return f, err
	}
	if t.fleet == nil {
		f += fmt.Sprintf("; instances seen: %d", len(sum.PerInstance))
		if len(sum.PerInstance) < t.instances {
			return f, fmt.Errorf("%d of %d instances served", len(sum.PerInstance), t.instances)
		}
		return f, nil
	}
	for _, in := range t.fleet.Instances() {
		if served := sum.PerInstance[in.Name()]; served != rounds {
			return f, fmt.Errorf("%s served %d of %d visits", in.Name(), served, n)
		}
	}
	return f, nil
}

// onlyVisitsCount proves that other requests between two visits neither count nor set a cookie.
func onlyVisitsCount(ctx context.Context, t *trial) (string, error) {
	v := t.newVisitor()
	before, err := v.Visit(ctx)
	if err != nil {
		return "", err
	}
	others := [][]string{
		{http.MethodHead, "/"}, {http.MethodGet, "/", "Sec-Purpose", "prefetch"}, {http.MethodGet, "/healthz"},
		{http.MethodGet, "/readyz"}, {http.MethodGet, "/no/such/page"}, {http.MethodPut, "/"}, {http.MethodGet, "/favicon.ico"},
	}
	for _, o := range others {
		a, err := v.Request(ctx, o[0], o[1], o[2:]...)
		if err != nil {
			return "", err
		}
		if a.Header.Get("Set-Cookie") != "" {
			return "", fmt.Errorf("%s %s set a cookie", o[0], o[1])
		}
	}
	after, err := v.Visit(ctx)
	if err != nil {
		return "", err
	}
	f := fmt.Sprintf("2 sent, %d counted; %d other requests between them", after.Page.Visits, len(others))
	if after.Page.Visits != before.Page.Visits+1 {
		return f, fmt.Errorf("two visits with other requests between them were %d and %d", before.Page.Visits, after.Page.Visits)
	}
	return f, nil
}

// cookieProtected proves that the cookie has the attributes that protect it, and that the app rejects an altered one.
func cookieProtected(ctx context.Context, t *trial) (string, error) {
	v := t.newVisitor()
	a, err := v.Visit(ctx)
	if err != nil {
		return "", err
	}
	cookies := (&http.Response{Header: a.Header}).Cookies()
	c := sessionCookie(cookies)
	if c == nil || c.Value == "" {
		return "", errors.New("the first visit set no session cookie")
	}
	if err := attributes(c, strings.HasPrefix(t.url, "https:")); err != nil {
		return "", fmt.Errorf("the cookie %s %w", c.Name, err)
	}
	v.SetCookie(c.Name, altered(c.Value))
	forged, err := v.Visit(ctx)
	if err != nil {
		return "", err
	}
	f := fmt.Sprintf("%s: HttpOnly, SameSite=Lax, %d s; an altered one is rejected", c.Name, c.MaxAge)
	if forged.Page.Visits != 1 {
		return f, fmt.Errorf("an altered cookie led to a session with %d visits", forged.Page.Visits)
	}
	return f, nil
}

// sessionCookie returns the cookie that holds the session. Routers set cookies, too.
func sessionCookie(cookies []*http.Cookie) *http.Cookie {
	for _, c := range cookies {
		if strings.Contains(c.Name, "session") || len(cookies) == 1 {
			return c
		}
	}
	return nil
}

// altered returns the value with a different letter in the middle.
func altered(value string) string {
	middle, letter := len(value)/2, "A"
	if value[middle:middle+1] == letter {
		letter = "B"
	}
	return value[:middle] + letter + value[middle+1:]
}

func attributes(c *http.Cookie, https bool) error {
	switch {
	case !c.HttpOnly:
		return errors.New("is not HttpOnly")
	case c.SameSite != http.SameSiteLaxMode:
		return errors.New("is not SameSite=Lax")
	case c.Path != "/" || c.Domain != "":
		return errors.New("must have Path=/ and no Domain")
	case c.MaxAge <= 0:
		return errors.New("has no Max-Age")
	case https && (!c.Secure || !strings.HasPrefix(c.Name, "__Host-")):
		return errors.New("is not Secure with the prefix __Host-")
	}
	return nil
}

// startOver proves that a reset ends the session for good, and that the next visit is number 1.
func startOver(ctx context.Context, t *trial) (string, error) {
	v, err := t.returningVisitor(ctx, 2)
	if err != nil {
		return "", err
	}
	old := v.Clone()
	a, err := v.Request(ctx, http.MethodPost, "/reset")
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		return "", fmt.Errorf("the reset was answered with %d instead of a redirect to /", a.Status)
	}
	if len(v.Cookies()) >= len(old.Cookies()) {
		return "", errors.New("the reset left the cookie in the browser")
	}
	for _, v := range []*visitor.Visitor{v, old} {
		a, err := v.Visit(ctx)
		if err != nil {
			return "", err
		}
		if a.Page.Visits != 1 {
			return "", fmt.Errorf("the first visit after the reset was number %d", a.Page.Visits)
		}
	}
	return "the next visit was number 1, even with the old cookie", nil
}

// concurrentVisits proves that many concurrent visits of one browser count exactly once each. A machine under load may not
// answer all of them in time, so it sends more until enough are acknowledged. A refused visit counts at most once.
func concurrentVisits(ctx context.Context, t *trial) (string, error) {
	n := 1000
	if t.fleet == nil {
		n = maxRequests / 2
	}
	v, err := t.returningVisitor(ctx, 1)
	if err != nil {
		return "", err
	}
	tally := new(visitor.Tally)
	for sum := tally.Sum(); sum.Acknowledged < n; sum = tally.Sum() {
		if err := cmp.Or(sum.Err, ctx.Err()); err != nil {
			return measured(tally, sum.Highest-1), fmt.Errorf("%d of %d visits were acknowledged: %w", sum.Acknowledged, n, err)
		}
		tally.AtOnce(ctx, v, n-sum.Acknowledged)
	}
	return settle(ctx, v, tally, tally.Check)
}

// settle finds out, with one more visit, how many visits were counted after the first one, and checks that number.
func settle(ctx context.Context, v *visitor.Visitor, tally *visitor.Tally, check func(int, time.Duration) error) (string, error) {
	last, err := v.Visit(ctx)
	if err != nil {
		return measured(tally, 0), fmt.Errorf("the last visit: %w", err)
	}
	counted := last.Page.Visits - 2
	return measured(tally, counted), check(counted, noLimit)
}

// memoryFails proves that instances lose visits if each keeps sessions in its own memory, and that the checks notice it.
func memoryFails(ctx context.Context, t *trial) (f string, err error) {
	const n = 20
	forgetful, err := fleet.Start(ctx, fleet.Options{Instances: t.instances, Memory: true})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, forgetful.Close()) }()
	tally := new(visitor.Tally)
	tally.Visits(ctx, visitor.New(forgetful.URL(), nil), n)
	sum := tally.Sum()
	f = measured(tally, sum.Highest) + fmt.Sprintf("; the count never got beyond %d", sum.Highest)
	if tally.CheckExact(sum.Highest, noLimit) == nil {
		return f, errors.New("the count was right although there was no shared store: these checks detect nothing")
	}
	return f, sum.Err
}
