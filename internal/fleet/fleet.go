// Package fleet runs several instances of this program on one machine, as a platform would: a Redis, real child
// processes that it restarts when they end, and a balancer in front of them with one address.
//
// It is there to show and prove what the program promises. On Linux and macOS no part of it outlives the process that
// started it, not even after SIGKILL.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"visit-counter/internal/child"
	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

const (
	startTimeout = 20 * time.Second // until all instances answer
	// stopTimeout limits how long the balancer waits for requests under way, and then how long instances may take to stop.
	// They need at most 7 seconds.
	stopTimeout = 9 * time.Second
)

// Options describe a fleet. The zero value is a Redis and one instance of this program, on a free port.
type Options struct {
	// Program is the path of the program to run. Empty means this program.
	Program string
	// Instances is the number of instances, named web.1, web.2 and so on. 0 means 1.
	Instances int
	// Port is the balancer's, on the loopback interface. 0 means a free one.
	Port int
	// Memory makes each instance keep its sessions in its own memory.
	Memory bool
	// RedisURL is the Redis to use. Empty means that the fleet starts one: redis-server if it is installed, else one
	// embedded in this process, which outlives the instances as well.
	RedisURL string
	// Environment holds further variables for the instances, as NAME=value. Instances inherit nothing from this process
	// except SYSTEMROOT, TMPDIR and TZ.
	Environment []string
	// Log is called with the name of an instance and each line that it writes, and with "fleet" and each line of the fleet
	// itself. It must be safe for concurrent use. Nil discards the lines.
	Log func(name, line string)
}

// Fleet is a running fleet. Its methods are safe for concurrent use. The caller closes it.
type Fleet struct {
	opts     Options
	store    store
	workDir  string
	balancer balancer
	server   *http.Server
	url      string

	startFailed     context.CancelCauseFunc // ends the wait of Start; afterwards it does nothing
	stopSupervising context.CancelFunc
	supervising     sync.WaitGroup
}

// Start starts a fleet and returns when all instances answer. ctx limits only the start. If an instance keeps exiting, the
// error includes the end of its log.
func Start(ctx context.Context, opts Options) (*Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ctx, startFailed := context.WithCancelCause(ctx)
	defer startFailed(nil)
	if opts.Log == nil {
		opts.Log = func(string, string) {}
	}
	f := &Fleet{opts: opts, startFailed: startFailed, stopSupervising: func() {}}
	if err := f.start(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) (err error) {
	if f.opts.Program == "" {
		if f.opts.Program, err = os.Executable(); err != nil {
			return err
		}
	}
	for i := range max(1, f.opts.Instances) {
		f.balancer.instances = append(f.balancer.instances, &Instance{fleet: f, name: "web." + strconv.Itoa(i+1)})
	}
	if err := f.listen(ctx); err != nil {
		return err
	}
	if f.workDir, err = child.TempDir(); err != nil { // empty, so that instances find no .env
		return err
	}
	if f.store, err = openStore(ctx, f.opts); err != nil {
		return err
	}
	var supervision context.Context
	supervision, f.stopSupervising = context.WithCancel(context.Background())
	for _, in := range f.Instances() {
		f.supervising.Go(func() { in.supervise(supervision) })
	}
	if err := f.await(ctx, unready); err != nil {
		return fmt.Errorf("the instances did not start: %w", err)
	}
	return nil
}

// listen takes the port on both loopback addresses, because browsers may try either for "localhost".
func (f *Fleet) listen(ctx context.Context) error {
	var config net.ListenConfig
	v4, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.opts.Port)))
	if err != nil {
		return portError(f.opts.Port, err)
	}
	port := v4.Addr().(*net.TCPAddr).Port
	f.url = "http://localhost:" + strconv.Itoa(port)
	f.server = &http.Server{
		Handler: f.balancer.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
	}
	go func() { _ = f.server.Serve(v4) }() // it returns when the server is closed
	v6, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		go func() { _ = f.server.Serve(v6) }()
	case f.opts.Port != 0 && errors.Is(err, syscall.EADDRINUSE): // a browser might meet the other program
		return portError(port, err)
	}
	return nil
}

func portError(port int, err error) error {
	return fmt.Errorf("cannot listen on port %d; is another program using it? (%w)", port, err)
}

// URL returns the balancer's address, without a trailing slash.
func (f *Fleet) URL() string { return f.url }

// Instances returns the instances, in order.
func (f *Fleet) Instances() []*Instance { return f.balancer.instances }

// Store says in a few words where the sessions are kept. The text contains no password.
func (f *Fleet) Store() string { return f.store.name }

// RedisServer returns the redis-server that the fleet has started. Callers may stop, pause and restart it. It is nil if the
// sessions are kept elsewhere.
func (f *Fleet) RedisServer() *redisserver.Server { return f.store.server }

// Ready waits until every instance is up and can count visits. It returns the cause if ctx ends first.
func (f *Fleet) Ready(ctx context.Context) error { return f.await(ctx, ready) }

// await waits until every instance has at least the wanted health.
func (f *Fleet) await(ctx context.Context, wanted int32) error {
	return poll.Until(ctx, func() bool {
		return !slices.ContainsFunc(f.Instances(), func(in *Instance) bool { return in.health() < wanted })
	})
}

// RestartAll restarts all instances at once.
func (f *Fleet) RestartAll(ctx context.Context) error {
	errs := make([]error, len(f.Instances()))
	var all sync.WaitGroup
	for i, in := range f.Instances() {
		all.Go(func() { errs[i] = in.Restart(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Roll restarts the instances one by one, each after the previous one is back. If the program finishes the requests that
// it has accepted, visitors notice nothing.
func (f *Fleet) Roll(ctx context.Context) error {
	for _, in := range f.Instances() {
		if err := in.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops everything in order: the balancer, which first finishes the requests under way, then the instances, then
// Redis.
func (f *Fleet) Close() error {
	var errs []error
	if f.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if f.server.Shutdown(ctx) != nil {
			errs = append(errs, f.server.Close())
		}
	}
	f.stopSupervising()
	f.supervising.Wait()
	if f.store.close != nil {
		errs = append(errs, f.store.close())
	}
	return errors.Join(errs...)
}
