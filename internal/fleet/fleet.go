// Package fleet runs several instances of this program on one machine, as a platform would: a Redis, real child
// processes that are started again when they end, and a balancer with one address before them.
//
// It is for showing and proving what the program promises. On Linux and macOS nothing of it outlives the process that
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
	startTimeout = 20 * time.Second // for all instances to answer
	// stopTimeout is for the requests under way at the balancer, then for the instances, which need 7 seconds at most.
	stopTimeout = 9 * time.Second
)

// Options say what a fleet is made of. The zero value is a Redis and one instance of this program, on a free port.
type Options struct {
	// Program is the path of the program to run. Empty means the one that is running.
	Program string
	// Instances is how many there are: web.1, web.2 and so on. 0 means 1.
	Instances int
	// Port of the balancer, on the loopback interface. 0 means a free one.
	Port int
	// Memory lets each instance keep its sessions to itself.
	Memory bool
	// RedisURL is a Redis to use. Empty means one of the fleet's own: redis-server if it is installed, else one
	// that is embedded in this process, and so outlives the instances too.
	RedisURL string
	// Environment holds further variables for the instances, as NAME=value. Nothing of this process's own environment
	// reaches them.
	Environment []string
	// Log is called with each line that an instance writes and its name, and with those of the fleet itself, whose name is
	// "fleet". Calls come from several goroutines at once. Nil discards the lines.
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

// Start starts a fleet and returns when all instances answer. ctx bounds the start only. If an instance exits again and again,
// the error has the end of its log.
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
	if f.workDir, err = child.TempDir(); err != nil { // empty, so that no instance finds somebody's .env
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
	return fmt.Errorf("port %d cannot be listened on, is another program using it? (%w)", port, err)
}

// URL returns the address of the balancer, without a slash at the end.
func (f *Fleet) URL() string { return f.url }

// Instances returns the instances, in order.
func (f *Fleet) Instances() []*Instance { return f.balancer.instances }

// Store says in a few words where the sessions are kept. There is no password in it.
func (f *Fleet) Store() string { return f.store.name }

// RedisServer returns the redis-server of the fleet's own, which may be stopped, suspended and started again. It is nil
// if the sessions are kept elsewhere.
func (f *Fleet) RedisServer() *redisserver.Server { return f.store.server }

// Ready returns when every instance is up and can count visits, or with ctx's error.
func (f *Fleet) Ready(ctx context.Context) error { return f.await(ctx, ready) }

// await returns when every instance is at least that healthy.
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

// Roll restarts one instance after the other, each when the one before it is back: if the program finishes the requests
// that it has taken, visitors notice nothing.
func (f *Fleet) Roll(ctx context.Context) error {
	for _, in := range f.Instances() {
		if err := in.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close ends everything in order: the balancer finishes the requests under way, then the instances stop, then
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
