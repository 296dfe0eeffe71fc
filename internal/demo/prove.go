package demo

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"visit-counter/internal/cli"
	"visit-counter/internal/fleet"
	"visit-counter/internal/redisserver"
)

const (
	checkTime      = 40 * time.Second // for one check
	politeRequests = 200              // to an app that is not ours, all checks together
	politeAtOnce   = 10
	localAtOnce    = 1000
)

const aboutProve = `Runs what this program promises against several instances of it with a Redis of their own, and breaks them on purpose:
a line each, with what was measured. The exit status is 0 only if everything passed.`

// proveOptions are what the flags of the command say.
type proveOptions struct {
	json        bool
	instances   int
	demanded    bool // the number of instances was given
	binary, url string
}

// Prove runs the checks and writes their results to out. It returns an error if one failed or could not be run. It is a
// [cli.Func].
func Prove(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	o, err := parseProve(args, out)
	if err != nil {
		return err
	}
	w := &writer{json: o.json, live: cli.IsTerminal(out), colour: cli.Coloured(out, getenv), out: out}
	t := &trial{writer: w, url: o.url, instances: o.instances, program: o.binary}
	if o.url != "" {
		t.goOutside(o.demanded)
	} else if err := t.startFleet(ctx); err != nil {
		return err
	}
	r := t.runAll(ctx)
	if t.fleet != nil {
		if err := t.fleet.Close(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return errors.New("interrupted: nothing is proven")
	}
	return cmp.Or(w.end(r), r.err())
}

func parseProve(args []string, out io.Writer) (o proveOptions, err error) {
	flags := cli.Flags("prove")
	flags.BoolVar(&o.json, "json", false, "write one JSON document instead")
	flags.IntVar(&o.instances, "instances", defaultInstances, "run `N` instances; with --url, so many must be seen")
	flags.StringVar(&o.binary, "binary", "", "prove another build of this program, at `PATH`")
	flags.StringVar(&o.url, "url", "", fmt.Sprintf("prove the app at this `URL` from outside, with at most %d requests, %d at once",
		politeRequests, politeAtOnce))
	if err := cli.Parse(flags, aboutProve, args, out); err != nil {
		return o, err
	}
	least := 2
	if o.url = strings.TrimSuffix(o.url, "/"); o.url != "" {
		least = 1
		flags.Visit(func(f *flag.Flag) { o.demanded = o.demanded || f.Name == "instances" })
	}
	switch {
	case o.instances < least || o.instances > mostInstances:
		err = cli.Mistake(flags, "--instances must be between %d and %d", least, mostInstances)
	case o.url != "" && o.binary != "":
		err = cli.Mistake(flags, "--url and --binary exclude each other")
	case o.url != "" && !isWebAddress(o.url):
		err = cli.Mistake(flags, "--url must be an http or https address")
	}
	return o, err
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// trial is one run of the checks.
type trial struct {
	*writer
	fleet     *fleet.Fleet // nil for an app that is not ours
	program   string
	instances int // of an app that is not ours: so many at least
	url       string
	client    *http.Client
}

// goOutside prepares for an app that is not ours.
func (t *trial) goOutside(demanded bool) {
	if !demanded {
		t.instances = 1
	}
	t.client = politeClient()
	t.line("Proving %s from outside: at most %d requests, %d at once.", t.shownURL(), politeRequests, politeAtOnce)
}

// shownURL returns the address without a password.
func (t *trial) shownURL() string {
	u, err := url.Parse(t.url)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// startFleet starts what is to be proven.
func (t *trial) startFleet(ctx context.Context) (err error) {
	if t.program != "" {
		if t.program, err = filepath.Abs(t.program); err != nil { // the instances run in another directory
			return err
		}
		if _, err := os.Stat(t.program); err != nil {
			return fmt.Errorf("--binary: %w", err)
		}
	}
	t.begin("starting the instances")
	t.fleet, err = fleet.Start(ctx, t.fleetOptions())
	if err != nil {
		return err
	}
	t.url, t.client = t.fleet.URL(), localClient()
	t.line("Proving %d instances at %s, with %s.", t.instances, t.url, t.fleet.Redis())
	return nil
}

func (t *trial) fleetOptions() fleet.Options {
	return fleet.Options{Program: t.program, Instances: t.instances}
}

// localClient uses each connection once: over one that was used before, http.Transport may repeat a visit.
func localClient() *http.Client {
	return &http.Client{
		Timeout:       requestTime,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: stay,
	}
}

// politeClient bounds what an app that is not ours has to bear.
func politeClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = politeAtOnce
	return &http.Client{
		Timeout:       requestTime,
		Transport:     &polite{next: transport, places: make(chan struct{}, politeAtOnce)},
		CheckRedirect: stay,
	}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// polite lets only so many requests through: at once, and all together.
type polite struct {
	next   http.RoundTripper
	places chan struct{}
	sent   atomic.Int64
}

// RoundTrip sends a request when there is a place for it.
func (p *polite) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case p.places <- struct{}{}:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	defer func() { <-p.places }()
	if p.sent.Add(1) > politeRequests {
		return nil, fmt.Errorf("more than %d requests would not be polite", politeRequests)
	}
	return p.next.RoundTrip(r)
}

func (t *trial) newVisitor() *visitor {
	return &visitor{client: t.client, url: t.url, cookies: make(map[string]string)}
}

// runAll runs the checks that can be run, one after the other, and writes each result.
func (t *trial) runAll(ctx context.Context) report {
	began := time.Now()
	r := report{Passed: true, URL: t.shownURL()}
	if t.fleet != nil {
		r.Store = t.fleet.Redis()
	}
	for _, c := range checks() {
		if ctx.Err() != nil || c.inside && t.fleet == nil {
			continue
		}
		outcome := t.run(ctx, c)
		t.result(outcome)
		r.Checks = append(r.Checks, outcome)
		r.Passed = r.Passed && outcome.Status == passed
	}
	r.Seconds = time.Since(began).Round(10 * time.Millisecond).Seconds()
	return r
}

// run runs one check, on a fleet that is whole.
func (t *trial) run(ctx context.Context, c check) result {
	r := result{Name: c.name, Status: passed}
	if c.server && !t.fleet.HasServer() {
		r.Status, r.Reason = notRun, redisserver.ErrNotInstalled.Error()
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	t.begin(c.name)
	began := time.Now()
	err := t.whole(ctx)
	if err == nil {
		r.figures, err = c.prove(ctx, t)
	}
	if err != nil {
		r.Status, r.Reason = failed, err.Error()
	}
	r.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	return r
}

// whole makes sure that the check before has left nothing broken.
func (t *trial) whole(ctx context.Context) error {
	if t.fleet == nil {
		return nil
	}
	if t.fleet.HasServer() {
		if err := t.fleet.ResumeRedis(); err != nil {
			return err
		}
		if !t.fleet.RedisRunning() {
			if err := t.fleet.StartRedis(ctx); err != nil {
				return err
			}
		}
	}
	if err := t.fleet.Ready(ctx); err != nil {
		return fmt.Errorf("the instances are not ready: %w", err)
	}
	return nil
}
