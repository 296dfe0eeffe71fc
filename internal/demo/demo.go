// Package demo is what the commands "demo" and "prove" do: the first shows a local fleet of instances to a visitor, the
// second runs every promise against one.
package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"visit-counter/internal/fleet"
)

// ErrUsage reports that a command was called in a way it does not understand.
var ErrUsage = errors.New("wrong usage")

const (
	defaultInstances = 4
	mostInstances    = 32
	defaultPort      = 8080
)

const demoUsage = `Usage: visit-counter demo [flags]

Runs several instances of this program behind one address that sends each visit to the
next of them, with one Redis for all. What ends is started again. Ctrl-C ends everything.

  --instances N           how many instances to run (4)
  --port N                port of the one address (PORT, else 8080); 0 takes a free one
  --store redis|memory    memory: each instance keeps its sessions to itself, to see it fail (redis)
  --redis URL             use this Redis; else redis-server is started if it is installed,
                          and if not, a Redis is embedded in this process
  --open=false            do not open a browser
`

// demoOptions are what the flags of the command say.
type demoOptions struct {
	instances, port int
	store, redis    string
	open            bool
}

// Run runs the fleet of the demo until ctx ends or somebody types q, and ends all of it before it returns. args are the
// command's own, without its name; a mistake in them is an [ErrUsage]. Flags are described by --help.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	if len(args) == 1 && args[0] == fleet.JanitorCommand {
		return fleet.Janitor(os.Stdin, out)
	}
	o, err := parseDemo(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, demoUsage)
		return err
	}
	if err != nil {
		return err
	}
	return show(ctx, o, getenv, out)
}

// show runs the fleet.
func show(ctx context.Context, o demoOptions, getenv func(string) string, out io.Writer) error {
	merged := newMerger(out, inColour(out, getenv))
	f, err := fleet.Start(ctx, fleet.Options{
		Instances: o.instances, Port: o.port, Memory: o.store == "memory", RedisURL: o.redis,
		Environment: instanceEnvironment(o, getenv), Log: merged.source,
	})
	if err != nil {
		return explainStart(ctx, err)
	}
	say := sayer{merged.source("demo")}
	say.line("sessions: %s", f.Redis())
	say.line("%d instances take turns at  %s", o.instances, f.URL())
	if o.open {
		openBrowser(f.URL(), getenv)
	}
	var keys io.Reader
	if isTerminal(os.Stdin) {
		keys = os.Stdin
	}
	control(ctx, f, keys, say)
	say.line("stopping: visits under way, then the instances, then Redis")
	if err := f.Close(); err != nil {
		return err
	}
	say.line("everything has ended")
	return nil
}

// explainStart drops the error of a start that somebody has called off.
func explainStart(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func parseDemo(args []string, getenv func(string) string) (demoOptions, error) {
	o := demoOptions{port: defaultPort}
	if text := getenv("PORT"); text != "" {
		port, err := strconv.Atoi(text)
		if err != nil {
			return o, fmt.Errorf("%w: PORT is not a number", ErrUsage)
		}
		o.port = port
	}
	flags := newFlags("demo")
	flags.IntVar(&o.instances, "instances", defaultInstances, "")
	flags.IntVar(&o.port, "port", o.port, "")
	flags.StringVar(&o.store, "store", "redis", "")
	flags.StringVar(&o.redis, "redis", "", "")
	flags.BoolVar(&o.open, "open", true, "")
	if err := parse(flags, args); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o demoOptions) check() error {
	switch {
	case o.instances < 1 || o.instances > mostInstances:
		return fmt.Errorf("%w: --instances is not between 1 and %d", ErrUsage, mostInstances)
	case o.port < 0 || o.port > 65535:
		return fmt.Errorf("%w: the port is not between 0 and 65535", ErrUsage)
	case o.store != "redis" && o.store != "memory":
		return fmt.Errorf("%w: --store is neither redis nor memory", ErrUsage)
	case o.store == "memory" && o.redis != "":
		return fmt.Errorf("%w: --store memory needs no --redis", ErrUsage)
	}
	return nil
}

// newFlags returns a set of flags that leaves it to the caller to say what is wrong.
func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parse parses the flags of a command that takes nothing else.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w; see visit-counter %s --help", ErrUsage, err, flags.Name())
	case flags.NArg() > 0:
		return fmt.Errorf("%w: %s takes flags only, not %q", ErrUsage, flags.Name(), flags.Arg(0))
	}
	return nil
}

// instanceEnvironment returns what the instances get of this process's environment: how to log and, with a Redis
// that was given, how to reach it.
func instanceEnvironment(o demoOptions, getenv func(string) string) []string {
	environment := []string{"LOG_FORMAT=text"}
	if level := getenv("LOG_LEVEL"); level != "" {
		environment = append(environment, "LOG_LEVEL="+level)
	}
	if o.redis == "" {
		return environment
	}
	for _, name := range []string{"REDIS_CLUSTER", "REDIS_TLS_VERIFY", "REDIS_TLS_CA", "SESSION_SECRET"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		if path, err := filepath.Abs(value); err == nil && name == "REDIS_TLS_CA" && !strings.Contains(value, "-----BEGIN") {
			value = path // the instances run in another directory
		}
		environment = append(environment, name+"="+value)
	}
	return environment
}
