// Package doctor examines the Redis that the app would use, from the source of its address to a visit that is counted and
// removed again. It says what is wrong and what to do.
//
// It needs no permissions beyond the store's. A managed Redis may forbid CONFIG and INFO: doctor says what it could not
// find out, and does not count that as a failure.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
	"visit-counter/internal/terminal"
)

const (
	// maxRequestTime limits one request to Redis if REDIS_TIMEOUT is longer.
	maxRequestTime = 3 * time.Second
	// maxExamineTime limits all requests together.
	maxExamineTime = 20 * time.Second
	// defaultInstances is how many instances manifest.yml asks for.
	defaultInstances = 4
)

const about = `Examines the Redis that the app would use, and prints one line for each check, with what to do about it:
PASS, WARN (it works, but may surprise you) or FAIL. It counts visits in sessions of its own, which it removes.
The exit status is 1 if any check is FAIL. It prints no password and no secret.`

// Command returns the doctor command. It prints no secret, and returns an error if any check is FAIL.
func Command(getenv func(string) string) *cobra.Command { return command(getenv, reachOf) }

func command(getenv func(string) string, reach func(netip.Addr) reach) *cobra.Command {
	var asJSON bool
	d := doctor{reach: reach, close: func() {}}
	cmd := &cobra.Command{
		Use: "doctor", Short: "examine the Redis that the app would use, and say what to do", Long: about, Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if d.instances < 1 {
				return errors.New("--instances must be at least 1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.cfg, d.mistakes = config.Load(getenv)
			out := cmd.OutOrStdout()
			return d.report(cmd.Context(), out, terminal.Coloured(out, getenv), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().IntVar(&d.instances, "instances", defaultInstances, "how many instances there will be: `N`")
	return cmd
}

// doctor examines one Redis, once. Each check keeps what it finds for the later ones.
type doctor struct {
	cfg       config.Config
	mistakes  error // in the configuration, one per line
	instances int   // that need connections
	reach     func(netip.Addr) reach

	redis  config.Redis
	conns  []connection // to the reachable addresses
	master string       // as the Sentinels say; "" without Sentinels
	client redis.UniversalClient
	nodes  []*node
	close  func()
}

// check is one item of the examination.
type check struct {
	name string
	run  func(*doctor, context.Context) []Line
	gate bool // if it fails, the later checks make no sense
}

// checks run in this order: each may use what the earlier ones have found.
var checks = []check{
	{"configuration", (*doctor).configuration, true},
	{"address", (*doctor).address, true},
	{"reachable", (*doctor).reachable, true},
	{"tls", (*doctor).encryption, true},
	{"sentinel", (*doctor).sentinels, true},
	{"login", (*doctor).login, true},
	{"exposed", each((*doctor).exposed), false},
	{"server", each((*doctor).server), false},
	{"role", each((*doctor).role), false},
	{"persistence", each((*doctor).persistence), false},
	{"memory", each((*doctor).memory), false},
	{"connections", each((*doctor).connections), false},
	{"secret", (*doctor).secret, false},
	{"store", (*doctor).store, false},
	{"clock", each((*doctor).clock), false},
}

// report prints each finding as soon as it is made, or all of them as JSON.
func (d *doctor) report(ctx context.Context, out io.Writer, coloured, asJSON bool) error {
	logging.Disable() // the report says what the library would print
	report := new(Report)
	var printed error
	d.examine(ctx, func(l Line) {
		if ctx.Err() != nil {
			return // after Ctrl-C, checks fail only because of it
		}
		report.add(l)
		if !asJSON {
			printed = cmp.Or(printed, l.print(out, coloured))
		}
	})
	if ctx.Err() != nil {
		return errors.New("doctor: interrupted")
	}
	return report.finish(out, asJSON, printed)
}

// examine runs all checks and emits each finding at once. A Redis that hangs costs a few seconds.
func (d *doctor) examine(ctx context.Context, emit func(Line)) {
	ctx, cancel := context.WithTimeout(ctx, maxExamineTime)
	defer cancel()
	defer func() { d.close() }()
	for _, c := range checks {
		failed := false
		for _, l := range c.run(d, ctx) {
			l.Check = c.name
			failed = failed || l.Status == Fail
			emit(l)
		}
		if c.gate && failed || c.name == "address" && d.redis.Options == nil {
			return
		}
	}
}

// each runs a check on every server that keeps sessions.
func each(run func(*doctor, context.Context, *node) Line) func(*doctor, context.Context) []Line {
	return func(d *doctor, ctx context.Context) (lines []Line) {
		for _, n := range d.nodes {
			l := run(d, ctx, n)
			l.Node = n.name
			lines = append(lines, l)
		}
		return lines
	}
}

func pass(format string, args ...any) Line {
	return Line{Status: Pass, Message: fmt.Sprintf(format, args...)}
}

func warn(message, fix string) Line { return Line{Status: Warn, Message: message, Fix: fix} }

func fail(message, fix string) Line { return Line{Status: Fail, Message: message, Fix: fix} }

// failed explains an error of the Redis client.
func failed(err error) Line {
	fault := redisfault.Explain(err)
	return fail(fault.Wrong, fault.Todo)
}

// limited returns a context for one request.
func (d *doctor) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.limit())
}

func (d *doctor) limit() time.Duration { return min(d.cfg.RedisTimeout, maxRequestTime) }

// configuration reports the mistakes in the configuration, which leave nothing to examine, or its warnings.
func (d *doctor) configuration(context.Context) (lines []Line) {
	if d.mistakes != nil {
		for mistake := range strings.Lines(d.mistakes.Error()) {
			lines = append(lines, fail(strings.TrimSpace(mistake),
				"correct it where it is set: the environment or .env, heroku config:set, cf set-env and cf restage"))
		}
	}
	for _, warning := range d.cfg.Warnings {
		lines = append(lines, warn(warning, "change the setting, or keep it if it is intended; .env.example explains each one"))
	}
	return lines
}
