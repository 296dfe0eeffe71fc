package demo

import (
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
	maxRequests    = 200              // to the app at --url, by all checks together
	maxConnections = 10               // to the app at --url
)

const aboutProve = `Starts several instances of this program with a Redis of their own, breaks them on purpose, and checks every promise:
one line each, with what was measured. The exit status is 0 only if everything passed.`

// proveOptions are the flags of the command.
type proveOptions struct {
	instances int
	url       string
	json      bool
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
	flags.IntVar(&o.instances, "instances", defaultInstances, "run `N` instances; with --url, at least that many must answer")
	flags.StringVar(&o.url, "url", "", fmt.Sprintf("prove the app at this `URL` from outside, with at most %d requests, %d at once",
		maxRequests, maxConnections))
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func (o proveOptions) check() error {
	minInstances := 2
	if o.url != "" {
		minInstances = 1
	}
	switch u, err := url.Parse(o.url); {
	case o.instances < minInstances || o.instances > maxInstances:
		return fmt.Errorf("--instances must be between %d and %d", minInstances, maxInstances)
	case o.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("--url must be an http or https address")
	}
	return nil
}

// trial is one run of the checks.
type trial struct {
	*writer
	fleet     *fleet.Fleet // nil with --url
	instances int          // with --url, the minimum
	url       string
	transport http.RoundTripper // for the visitors; nil makes a new connection for each request
}

// prove runs the checks that the target allows, one after the other.
func prove(ctx context.Context, o proveOptions, w *writer) error {
	t := &trial{writer: w, url: o.url, instances: o.instances}
	if err := t.begin(ctx); err != nil {
		return err
	}
	began, all, good := time.Now(), 0, 0
	for _, c := range checks() {
		if ctx.Err() != nil || c.inside && t.fleet == nil {
			continue
		}
		all++
		if t.run(ctx, c) {
			good++
		}
	}
	if t.fleet != nil {
		if err := t.fleet.Close(); err != nil {
			return err
		}
	}
	if err := t.end(ctx.Err() == nil && good == all); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: this proves nothing")
	case good < all:
		return fmt.Errorf("%d of %d checks failed or could not be run", all-good, all)
	}
	t.line("All %d checks passed in %.0f s.", all, time.Since(began).Seconds())
	return nil
}

// begin starts the instances to check, unless --url names an app.
func (t *trial) begin(ctx context.Context) error {
	if t.url != "" {
		u, err := url.Parse(t.url)
		if err != nil {
			return err
		}
		t.transport = limitedTransport()
		t.line("Proving %s from outside: at most %d requests, %d at once.", u.Redacted(), maxRequests, maxConnections)
		return nil
	}
	t.show("starting the instances")
	f, err := fleet.Start(ctx, fleet.Options{Instances: t.instances})
	if err != nil {
		return err
	}
	t.fleet, t.url = f, f.URL()
	t.line("Proving %d instances at %s, with %s.", t.instances, t.url, f.Store())
	return nil
}

// limitedTransport limits the load on the app at --url. It uses HTTP/1, because one HTTP/2 connection carries many requests
// at once.
func limitedTransport() *limited {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnections, maxConnections
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	l := &limited{RoundTripper: transport}
	l.left.Store(maxRequests)
	return l
}

// limited is a transport that sends only a limited number of requests.
type limited struct {
	http.RoundTripper
	left atomic.Int64
}

// RoundTrip sends the request if the limit allows it, else it returns an error.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.left.Add(-1) < 0 {
		return nil, fmt.Errorf("prove sends at most %d requests", maxRequests)
	}
	return l.RoundTripper.RoundTrip(r)
}

func (t *trial) newVisitor() *visitor.Visitor { return visitor.New(t.url, t.transport) }

// run repairs the fleet, runs one check, writes the result, and reports whether the check passed.
func (t *trial) run(ctx context.Context, c check) bool {
	if c.server && t.fleet.RedisServer() == nil {
		t.result(notRun, c.name, "", redisserver.ErrNotInstalled)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	t.show(c.name)
	figures, err := "", t.repair(ctx)
	if err == nil {
		figures, err = c.prove(ctx, t)
	}
	if err != nil {
		t.result(failed, c.name, figures, err)
		return false
	}
	t.result(passed, c.name, figures, nil)
	return true
}

// repair undoes what the previous check may have left broken.
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
