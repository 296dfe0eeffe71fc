// Package doctor looks at the Redis that serving would use, from where its address was found to a visit that is counted
// and removed again, and says what is wrong with it and what to do.
//
// It needs no permission beyond the store's own and PING. What a Redis does not tell, such as a managed one that forbids
// CONFIG and INFO, is said to be untold; it is no failure.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"visit-counter/internal/backend"
	"visit-counter/internal/config"
	"visit-counter/internal/terminal"
)

const (
	// mostPerCheck is how long one question to Redis takes at most, whatever REDIS_TIMEOUT says.
	mostPerCheck = 3 * time.Second
	// mostTogether is how long all of them take at most.
	mostTogether = 20 * time.Second
	// usualInstances is how many instances the connections should suffice for: what manifest.yml asks for.
	usualInstances = 4
)

const about = `Looks at the Redis that serving would use, and prints one line for each thing that matters, with what to do
about it: PASS, WARN (it works, but...) or FAIL. It counts one visit in a session of its own, which it removes.
The exit status is 1 if anything is FAIL. No password and no secret is printed.`

// Command is the command. It prints no secret, and returns an error if anything is FAIL.
type Command struct {
	// Load reads the configuration as serving reads it. Its error holds one mistake a line.
	Load func(getenv func(string) string) (config.Config, error)
	// Reach tells who can reach an address. Nil means [ReachOf].
	Reach func(netip.Addr) Reach
}

// New returns the command for a command line.
func (c Command) New(getenv func(string) string) *cobra.Command {
	var asJSON bool
	instances := usualInstances
	cmd := &cobra.Command{
		Use: "doctor", Short: "look at the Redis that serving would use, and say what to do", Long: about, Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if instances < 1 {
				return errors.New("--instances must be at least 1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), asJSON, instances, getenv, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().IntVar(&instances, "instances", usualInstances, "how many instances there will be: `N`")
	return cmd
}

func (c Command) run(ctx context.Context, asJSON bool, instances int, getenv func(string) string, out io.Writer) error {
	p := printer{out: out, coloured: terminal.Coloured(out, getenv)}
	if asJSON {
		p = printer{out: io.Discard}
	}
	logging.Disable() // what the library would print is told in our words
	report := new(Report)
	tell := func(l Line) {
		if ctx.Err() == nil { // what fails after Ctrl-C fails because of it
			report.add(l)
			p.line(l)
		}
	}
	if cfg, err := c.Load(getenv); err != nil {
		mistakes(err, tell)
	} else {
		d := &doctor{cfg: cfg, instances: instances, reach: c.Reach, tell: tell}
		d.examine(ctx)
	}
	if ctx.Err() != nil {
		return errors.New("doctor: interrupted")
	}
	return report.finish(out, asJSON, p.err)
}

// mistakes tells what is wrong with the configuration, without which there is nothing to look at.
func mistakes(err error, tell func(Line)) {
	for line := range strings.Lines(err.Error()) {
		tell(Line{
			Check: "configuration", Status: Fail, Message: strings.TrimSpace(line),
			Fix: "correct it where it is set: the environment or .env, heroku config:set, cf set-env and cf restage",
		})
	}
}

// doctor examines one Redis, once.
type doctor struct {
	cfg       config.Config
	instances int // that the connections should suffice for
	reach     func(netip.Addr) Reach
	tell      func(Line)
	redis     config.Redis
}

// examine looks at everything, in the order in which one thing needs another, and tells each finding as soon as it is
// there. What cannot be looked at because of a failure is left out. A Redis that hangs costs a few seconds.
func (d *doctor) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, mostTogether)
	defer cancel()
	if d.reach == nil {
		d.reach = ReachOf
	}
	for _, warning := range d.cfg.Warnings {
		d.warn("configuration", "", warning, "change the setting, or leave it if it is meant so; .env.example explains each")
	}
	if !d.findRedis(ctx) || !d.reachable(ctx) || !d.encrypted(ctx) {
		return
	}
	client, closeClient := backend.Connect(d.redis)
	defer closeClient()
	nodes, ok := d.login(ctx, client)
	if !ok {
		return
	}
	for _, n := range nodes {
		d.look(ctx, n)
	}
	d.sharedSecret(ctx, client)
	d.roundTrip(ctx, client, nodes)
	d.clock(ctx, nodes[0])
}

// look examines one server that answers.
func (d *doctor) look(ctx context.Context, n *node) {
	d.learn(ctx, n)
	d.exposed(ctx, n)
	d.server(n)
	d.role(n)
	d.persistence(n)
	d.memory(n)
	d.connections(n)
}

// bounded returns a context for one question.
func (d *doctor) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.limit())
}

func (d *doctor) limit() time.Duration { return min(d.cfg.RedisTimeout, mostPerCheck) }

func (d *doctor) pass(check, node, format string, args ...any) {
	d.say(Line{Check: check, Status: Pass, Node: node, Message: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, node, message, fix string) {
	d.say(Line{Check: check, Status: Warn, Node: node, Message: message, Fix: fix})
}

func (d *doctor) fail(check, node, message, fix string) {
	d.say(Line{Check: check, Status: Fail, Node: node, Message: message, Fix: fix})
}

// say tells l without passwords: a server may repeat in its answers what it was sent.
func (d *doctor) say(l Line) {
	if o := d.redis.Options; o != nil {
		for _, secret := range []string{o.Password, o.SentinelPassword} {
			if secret != "" {
				l.Message = strings.ReplaceAll(l.Message, secret, "***")
			}
		}
	}
	d.tell(l)
}
