package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"visit-counter/internal/fleet"
)

// check is one thing to prove.
type check struct {
	name   string
	inside bool // needs the fleet, so that something can be broken
	server bool // needs a redis-server, too
	prove  func(context.Context, *trial) (figures, error)
}

// checks returns all of them, in order.
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

// visits sends n visits of one browser, one after the other.
func visits(ctx context.Context, v *visitor, n int) *tally {
	sum := newTally()
	for range n {
		sum.add(v.visit(ctx))
	}
	return sum
}

// countRises: each visit has the next number.
func countRises(ctx context.Context, t *trial) (figures, error) {
	const n = 10
	v, sum := t.newVisitor(), newTally()
	for i := range n {
		a, err := v.visit(ctx)
		sum.add(a, err)
		if err == nil && a.page.Visits != i+1 {
			err = fmt.Errorf("visit %d was counted as number %d", i+1, a.page.Visits)
		}
		if err != nil {
			return sum.figures(a.page.Visits), err
		}
	}
	return sum.figures(n), nil
}

// everyInstanceServes: one browser is served by all, and they go on from each other's count.
func everyInstanceServes(ctx context.Context, t *trial) (figures, error) {
	const rounds, outside = 5, 30
	if t.fleet == nil {
		sum := visits(ctx, t.newVisitor(), outside)
		f := sum.figures(len(sum.seen))
		f.Note = fmt.Sprintf("instances seen: %d", len(f.PerInstance))
		if len(f.PerInstance) < t.instances {
			return f, fmt.Errorf("%d of %d instances served", len(f.PerInstance), t.instances)
		}
		return f, sum.exact(len(sum.seen))
	}
	sum := visits(ctx, t.newVisitor(), rounds*t.instances)
	f := sum.figures(len(sum.seen))
	if err := sum.exact(len(sum.seen)); err != nil {
		return f, err
	}
	for _, in := range t.fleet.Instances() {
		if f.PerInstance[in.Name()] != rounds {
			return f, fmt.Errorf("%s served %d of %d visits", in.Name(), f.PerInstance[in.Name()], f.Sent)
		}
	}
	return f, nil
}

// onlyVisitsCount: between two visits, whatever else is asked for counts nothing and sets no cookie.
func onlyVisitsCount(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	before, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	others := [][]string{
		{http.MethodHead, "/"}, {http.MethodGet, "/", "Sec-Purpose", "prefetch"}, {http.MethodGet, "/healthz"},
		{http.MethodGet, "/readyz"}, {http.MethodGet, "/no/such/page"}, {http.MethodPut, "/"}, {http.MethodGet, "/favicon.ico"},
	}
	for _, o := range others {
		a, err := v.request(ctx, o[0], o[1], o[2:]...)
		if err != nil {
			return figures{}, err
		}
		if a.header.Get("Set-Cookie") != "" {
			return figures{}, fmt.Errorf("%s %s set a cookie", o[0], o[1])
		}
	}
	after, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	f := figures{Sent: 2, Counted: after.page.Visits, Note: fmt.Sprintf("%d other requests between them", len(others))}
	if after.page.Visits != before.page.Visits+1 {
		return f, fmt.Errorf("two visits with other requests between them were %d and %d", before.page.Visits, after.page.Visits)
	}
	return f, nil
}

// cookieProtected: the cookie has the attributes that protect it, and one that was altered is not believed.
func cookieProtected(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	a, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	cookies := (&http.Response{Header: a.header}).Cookies()
	c := sessionCookie(cookies)
	if c == nil || c.Value == "" {
		return figures{}, errors.New("the first visit set no cookie that could hold a session")
	}
	if err := attributes(c, strings.HasPrefix(t.url, "https:")); err != nil {
		return figures{}, fmt.Errorf("the cookie %s %w", c.Name, err)
	}
	v.cookies[c.Name] = altered(c.Value)
	forged, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	f := figures{Note: fmt.Sprintf("%s: HttpOnly, SameSite=Lax, %d s; altered, it is not believed", c.Name, c.MaxAge)}
	if forged.page.Visits != 1 {
		return f, fmt.Errorf("a cookie that was altered led to a session with %d visits", forged.page.Visits)
	}
	return f, nil
}

// sessionCookie returns the cookie without which a visitor is new. Routers set cookies, too.
func sessionCookie(cookies []*http.Cookie) *http.Cookie {
	for _, c := range cookies {
		if strings.Contains(c.Name, "session") || len(cookies) == 1 {
			return c
		}
	}
	return nil
}

// altered returns the value with another letter in the middle.
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
		return errors.New("is not for exactly this site")
	case c.MaxAge <= 0:
		return errors.New("has no Max-Age")
	case https && (!c.Secure || !strings.HasPrefix(c.Name, "__Host-")):
		return errors.New("is not Secure with the prefix __Host-")
	}
	return nil
}

// startOver: a reset ends the session for good, and the next visit is number 1.
func startOver(ctx context.Context, t *trial) (figures, error) {
	v := t.newVisitor()
	if err := visits(ctx, v, 2).exact(2); err != nil {
		return figures{}, err
	}
	old := v.again()
	a, err := v.request(ctx, http.MethodPost, "/reset")
	if err != nil {
		return figures{}, err
	}
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		return figures{}, fmt.Errorf("the reset was answered with %d, not with a redirect home", a.status)
	}
	if len(v.cookies) >= len(old.cookies) {
		return figures{}, errors.New("the reset left the cookie in the browser")
	}
	for _, v := range []*visitor{v, old} {
		a, err := v.visit(ctx)
		if err != nil {
			return figures{}, err
		}
		if a.page.Visits != 1 {
			return figures{}, fmt.Errorf("the first visit after the reset was number %d", a.page.Visits)
		}
	}
	return figures{Note: "the next visit was number 1, with the old cookie, too"}, nil
}

// concurrentVisits: many visits of one browser, all at once, count exactly once each.
func concurrentVisits(ctx context.Context, t *trial) (figures, error) {
	n := localAtOnce
	if t.fleet == nil {
		n = politeRequests / 2
	}
	v := t.newVisitor()
	first, err := v.visit(ctx)
	if err != nil {
		return figures{}, err
	}
	sum := t.atSameTime(ctx, v, n)
	return sum.settle(ctx, v, first.page.Visits, sum.exact)
}

// atSameTime sends n visits of one browser at once.
func (t *trial) atSameTime(ctx context.Context, v *visitor, n int) *tally {
	sum := newTally()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			sum.add(v.visit(ctx))
			t.progress("%d of %d visits", sum.done(), n)
		})
	}
	all.Wait()
	return sum
}

// settle asks with one more visit what was counted since the visit number before, and judges it.
func (t *tally) settle(ctx context.Context, v *visitor, before int, judge func(int) error) (figures, error) {
	last, err := v.visit(ctx)
	if err != nil {
		return t.figures(0), fmt.Errorf("the visit after it: %w", err)
	}
	counted := last.page.Visits - before - 1
	return t.figures(counted), judge(counted)
}

// memoryFails: instances that keep sessions to themselves lose visits, and these checks can tell.
func memoryFails(ctx context.Context, t *trial) (f figures, err error) {
	const n = 20
	options := t.fleetOptions()
	options.Memory = true
	forgetful, err := fleet.Start(ctx, options)
	if err != nil {
		return figures{}, err
	}
	defer func() { err = errors.Join(err, forgetful.Close()) }()
	v, sum, highest := t.newVisitor(), newTally(), 0
	v.url = forgetful.URL()
	for range n {
		a, err := v.visit(ctx)
		sum.add(a, err)
		highest = max(highest, a.page.Visits)
	}
	f = sum.figures(highest)
	f.Note = fmt.Sprintf("the count never got beyond %d", highest)
	if highest == n {
		return f, errors.New("the count was right: these checks cannot tell a store from none")
	}
	return f, sum.err
}

// waitUntil visits until a visit is counted, and returns it with the time that took.
func waitUntil(ctx context.Context, v *visitor) (answer, time.Duration, error) {
	began := time.Now()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		a, err := v.visit(ctx)
		if err == nil {
			return a, time.Since(began), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return a, 0, fmt.Errorf("no visit was counted any more: %w", err)
		}
	}
}
