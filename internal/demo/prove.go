package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"visit-counter/internal/fleet"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/terminal"
	"visit-counter/internal/visitor"
)

const (
	checkTimeout   = 40 * time.Second // for one check
	maxRequests    = 200              // to an app that is not ours, all checks together
	maxConnections = 10               // to such an app
)

const aboutProve = `Starts several instances of this program with a Redis of their own, breaks them on purpose, and checks every promise:
one line each, with what was measured. The exit status is 0 only if everything passed.`

// proveOptions are what the flags of the command say.
type proveOptions struct {
	json      bool
	instances int
	url       string
}

// Prove returns the command that runs the checks. It fails if a check fails or could not be run.
func Prove(getenv func(string) string) *cobra.Command {
	var o proveOptions
	cmd := &cobra.Command{
		Use: "prove", Short: "check every promise against several instances, or a deployed app", Long: aboutProve, Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			o.url = strings.TrimSuffix(o.url, "/")
			if o.url != "" && !cmd.Flags().Changed("instances") {
				o.instances = 1
			}
			return o.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			return prove(cmd.Context(), o, &writer{json: o.json, live: terminal.Is(out), colour: terminal.Coloured(out, getenv), out: out})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.json, "json", false, "write one JSON document instead")
	flags.IntVar(&o.instances, "instances", defaultInstances, "run `N` instances; with --url, so many must be seen")
	flags.StringVar(&o.url, "url", "", fmt.Sprintf("prove the app at this `URL` from outside, with at most %d requests, %d at once",
		maxRequests, maxConnections))
	return cmd
}

func (o proveOptions) check() error {
	least := 2
	if o.url != "" {
		least = 1
	}
	switch {
	case o.instances < least || o.instances > maxInstances:
		return fmt.Errorf("--instances must be between %d and %d", least, maxInstances)
	case o.url != "" && !isWebAddress(o.url):
		return errors.New("--url must be an http or https address")
	}
	return nil
}

func prove(ctx context.Context, o proveOptions, w *writer) error {
	t := &trial{writer: w, url: o.url, instances: o.instances}
	if o.url != "" {
		t.transport = limitedTransport()
		t.line("Proving %s from outside: at most %d requests, %d at once.", t.shownURL(), maxRequests, maxConnections)
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

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// trial is one run of the checks.
type trial struct {
	*writer
	fleet     *fleet.Fleet // nil for an app that is not ours
	instances int          // of an app that is not ours: so many at least
	url       string
	transport http.RoundTripper // of its visitors; nil makes a new connection for each request
}

// shownURL returns the address without a password.
func (t *trial) shownURL() string {
	u, err := url.Parse(t.url)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// startFleet starts the instances to check.
func (t *trial) startFleet(ctx context.Context) (err error) {
	t.begin("starting the instances")
	t.fleet, err = fleet.Start(ctx, fleet.Options{Instances: t.instances})
	if err != nil {
		return err
	}
	t.url = t.fleet.URL()
	t.line("Proving %d instances at %s, with %s.", t.instances, t.url, t.fleet.Store())
	return nil
}

// limitedTransport spares an app that is not ours. With HTTP/2 one connection would carry any number of requests at once.
func limitedTransport() *limited {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnections, maxConnections
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	l := &limited{RoundTripper: transport}
	l.left.Store(maxRequests)
	return l
}

// limited lets only so many requests through.
type limited struct {
	http.RoundTripper
	left atomic.Int64
}

// RoundTrip sends a request if there is one left.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.left.Add(-1) < 0 {
		return nil, fmt.Errorf("prove sends %d requests at most", maxRequests)
	}
	return l.RoundTripper.RoundTrip(r)
}

func (t *trial) newVisitor() *visitor.Visitor { return visitor.New(t.url, t.transport) }

// runAll runs the checks that can be run, one after the other, and writes each result.
func (t *trial) runAll(ctx context.Context) report {
	began := time.Now()
	r := report{Passed: true, URL: t.shownURL()}
	if t.fleet != nil {
		r.Store = t.fleet.Store()
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

// run runs one check, on a fleet that works.
func (t *trial) run(ctx context.Context, c check) result {
	r := result{Name: c.name, Status: passed}
	if c.server && t.fleet.RedisServer() == nil {
		r.Status, r.Reason = notRun, redisserver.ErrNotInstalled.Error()
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	t.begin(c.name)
	began := time.Now()
	err := t.repair(ctx)
	if err == nil {
		r.figures, err = c.prove(ctx, t)
	}
	if err != nil {
		r.Status, r.Reason = failed, err.Error()
	}
	r.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	return r
}

// repair undoes what the check before it may have left broken.
func (t *trial) repair(ctx context.Context) error {
	if t.fleet == nil {
		return nil
	}
	if server := t.fleet.RedisServer(); server != nil {
		if err := server.Resume(); err != nil {
			return err
		}
		if !server.Running() {
			if err := server.Restart(ctx); err != nil {
				return err
			}
		}
	}
	if err := t.fleet.Ready(ctx); err != nil {
		return fmt.Errorf("the instances are not ready: %w", err)
	}
	return nil
}
