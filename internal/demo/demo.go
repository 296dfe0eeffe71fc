// Package demo implements the commands "run", "demo" and "prove". Run serves one instance with a local Redis, demo runs a local
// fleet of instances for a browser, and prove checks every promise against such a fleet.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"visit-counter/internal/config"
	"visit-counter/internal/fleet"
	"visit-counter/internal/terminal"
)

const (
	defaultInstances = 4
	maxInstances     = 32
	defaultPort      = 8080
)

const aboutDemo = `Runs several instances of this program behind one address, which sends each visit to the next instance. All share one
Redis: redis-server if it is installed, else one embedded in this process. An instance that exits is started again. On a
terminal, single letters break things on purpose. Ctrl-C ends everything.`

// demoOptions are the flags of the command.
type demoOptions struct {
	instances, port int
	store, redis    string
	open            bool
}

// Demo returns the command that runs the fleet until an interrupt or the letter q, and then stops all of it.
func Demo(getenv func(string) string) *cobra.Command {
	var o demoOptions
	port, portErr := strconv.Atoi(cmp.Or(getenv("PORT"), strconv.Itoa(defaultPort)))
	cmd := &cobra.Command{
		Use: "demo", Short: "run several instances behind one address, and break them", Long: aboutDemo, Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if portErr != nil && !cmd.Flags().Changed("port") {
				return errors.New("PORT is not a number")
			}
			return o.check(getenv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd.Context(), o, getenv, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&o.instances, "instances", defaultInstances, "run `N` instances")
	flags.IntVar(&o.port, "port", port, "listen on port `N`; 0 takes a free one")
	flags.StringVar(&o.store, "store", "redis", "with `memory`, each instance keeps its own sessions: see it fail")
	flags.StringVar(&o.redis, "redis", "", "use the Redis at this `URL`")
	flags.BoolVar(&o.open, "open", true, "open a browser if there is one; --open=false does not")
	return cmd
}

// show runs the fleet until ctx ends or the user types q.
func show(ctx context.Context, o demoOptions, getenv func(string) string, out io.Writer) error {
	log := &transcript{out: out, colour: terminal.Coloured(out, getenv)}
	f, err := fleet.Start(ctx, fleet.Options{
		Instances: o.instances, Port: o.port, Memory: o.store == "memory", RedisURL: o.redis,
		Environment: instanceEnvironment(o, getenv), Log: log.line,
	})
	if err != nil {
		return explainStart(ctx, err)
	}
	log.say("sessions: %s", f.Store())
	log.say("address: %s (instances: %d)", f.URL(), o.instances)
	if o.open {
		openBrowser(f.URL(), getenv)
	}
	var keys io.Reader
	if terminal.Is(os.Stdin) {
		keys = os.Stdin
	}
	control(ctx, f, keys, log)
	log.say("stopping: the balancer finishes visits under way, then the instances and Redis stop")
	if err := f.Close(); err != nil {
		return err
	}
	log.say("everything has ended")
	return nil
}

// explainStart adds what to do about a port that is in use, and drops the error if the start was interrupted.
func explainStart(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; --port N chooses another one", err)
	}
	return err
}

// check returns an error if a flag is out of range or contradicts another.
func (o demoOptions) check(getenv func(string) string) error {
	switch {
	case o.instances < 1 || o.instances > maxInstances:
		return fmt.Errorf("--instances must be between 1 and %d", maxInstances)
	case o.port < 0 || o.port > 65535:
		return errors.New("--port must be between 0 and 65535")
	case o.store != "redis" && o.store != "memory":
		return errors.New("--store must be redis or memory")
	case o.store == "memory" && o.redis != "":
		return errors.New("--store memory cannot be combined with --redis")
	}
	if o.redis == "" {
		return nil
	}
	_, err := config.Load(func(name string) string { // once, here: otherwise each instance would report the error at each start
		switch {
		case name == "REDIS_URL":
			return o.redis
		case slices.Contains(redisVariables, name):
			return getenv(name)
		}
		return ""
	})
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	return nil
}

// cookieName differs from the app's default. Cookies ignore the port: with the same name, the demo would overwrite the
// browser's session with "make run".
const cookieName = "demo-session"

// redisVariables are what instances need, with --redis, to reach that Redis and share its sessions.
var redisVariables = []string{"REDIS_CLUSTER", "REDIS_TLS_VERIFY", "REDIS_TLS_CA", "SESSION_SECRET"}

// instanceEnvironment returns the variables of the instances. From this process's environment they get LOG_LEVEL and, with
// --redis, the redisVariables.
func instanceEnvironment(o demoOptions, getenv func(string) string) []string {
	environment := []string{"LOG_FORMAT=text", "COOKIE_NAME=" + cookieName}
	if level := getenv("LOG_LEVEL"); level != "" {
		environment = append(environment, "LOG_LEVEL="+level)
	}
	if o.redis == "" {
		return environment
	}
	for _, name := range redisVariables {
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
