package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"visit-counter/internal/child"
	"visit-counter/internal/config"
	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

const aboutRun = `Serves one instance of the app, with the Redis on this machine. If no Redis is configured and none runs, but redis-server
is installed, it starts one that keeps its data in .redis. That Redis runs until the last instance that uses it has ended.`

// Run returns the command that serves one instance on a developer's machine. It calls serve, which must serve until its
// context ends.
func Run(getenv func(string) string, serve func(ctx context.Context, getenv func(string) string, out io.Writer) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "serve one instance, and start a Redis on this machine if none runs", Long: aboutRun, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			cfg, err := config.Load(getenv)
			if err == nil && looksHere(cfg) { // if the configuration is wrong, serve explains why
				release, err := localRedis{addr: config.LocalRedis, dir: ".redis"}.use(ctx, out)
				if err != nil {
					return err
				}
				defer release()
			}
			return serve(ctx, getenv, out)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: keepCommand + " ADDRESS FOLDER", Short: "keep a Redis running as long as instances use it", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return localRedis{addr: args[0], dir: args[1]}.keep(cmd.Context())
		},
	})
	return cmd
}

// looksHere reports whether the app looks for a Redis on this machine because none is configured.
func looksHere(cfg config.Config) bool {
	return cfg.Store == config.StoreAuto || strings.HasPrefix(cfg.Redis.Source, "SESSION_STORE")
}

// keepCommand is the subcommand of "run" that keeps a Redis running.
const keepCommand = "keep-redis"

const (
	lockInterval = 50 * time.Millisecond // between attempts to take a lock
	stopTimeout  = 30 * time.Second      // for Redis, which may have to write its file
)

// localRedis is a Redis that several instances share. Each instance that uses it holds a shared lock on a file in dir. A
// separate process keeps the Redis running, and stops it when nothing holds such a lock any more. So it does not matter which
// instance started it, which one ends first, or how.
type localRedis struct {
	addr string
	dir  string
}

// use starts the Redis if nothing listens at its address and redis-server is installed. This process uses it until it calls
// release, or ends.
func (r localRedis) use(ctx context.Context, out io.Writer) (release func(), err error) {
	if _, err := redisserver.Program(); err != nil || !canLock {
		return func() {}, nil // the app looks for a Redis itself
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	users, err := r.lock(ctx, shared) // waits until a Redis that is being stopped has ended
	if err != nil {
		return nil, err
	}
	if err := r.start(ctx, out); err != nil {
		_ = users.Close()
		return nil, err
	}
	return func() { _ = users.Close() }, nil
}

// start starts the Redis unless something listens at its address, and returns when something does.
func (r localRedis) start(ctx context.Context, out io.Writer) error {
	if r.listens() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	keeper := exec.Command(self, "run", keepCommand, r.addr, r.dir)
	detach(keeper)
	if err := keeper.Start(); err != nil {
		return err
	}
	keeping, ended := context.WithCancelCause(ctx)
	go func() {
		_ = keeper.Wait() // the reason is in the log
		ended(fmt.Errorf("redis-server did not start: see %s", r.logFile()))
	}()
	if err := poll.Until(keeping, r.listens); err != nil {
		if r.listens() { // another instance was faster
			return nil
		}
		return err
	}
	_, err = fmt.Fprintf(out, "started redis-server, which keeps its data in %s\n", r.dir)
	return err
}

// keep runs the Redis until no instance uses it, or ctx ends.
func (r localRedis) keep(ctx context.Context) error {
	program, err := redisserver.Program()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return err
	}
	log, err := os.Create(r.logFile())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd, err := child.Command(ctx, stopTimeout, program, "--bind", host, "--port", port, "--dir", r.dir, "--appendonly", "yes", "--save", "")
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		stop()
	}()
	unused, lockErr := r.lock(ctx, exclusive)
	stop()
	err = <-ended
	if lockErr == nil {
		_ = unused.Close() // instances that wait for the lock may start it again
	}
	return err
}

func (r localRedis) logFile() string { return filepath.Join(r.dir, "redis.log") }

// listens reports whether something accepts connections at the address.
func (r localRedis) listens() bool {
	conn, err := net.DialTimeout("tcp", r.addr, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// lock opens and locks the file whose locks mark the users of the Redis. Closing the file releases the lock. While other
// processes hold a conflicting lock, it waits, until ctx ends.
func (r localRedis) lock(ctx context.Context, how int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(r.dir, "users"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for tryLock(file, how) != nil {
		if poll.Pause(ctx, lockInterval); ctx.Err() != nil {
			_ = file.Close()
			return nil, ctx.Err()
		}
	}
	return file, nil
}
