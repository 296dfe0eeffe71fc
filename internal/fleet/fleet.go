// Package fleet runs several instances of this program on one machine, as a platform would: a Redis, real child
// processes that are started again when they end, and a balancer with one address before them.
//
// It is for showing and proving what the program promises. Everything in it lives as long as the process that started
// it and no longer, even if that is killed: see [Janitor].
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startTime = 20 * time.Second // for all instances to answer
	// stopTime is for the requests under way at the balancer, then for the instances, which need 7 seconds at most.
	stopTime = 9 * time.Second
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
	// Log returns where the lines of an instance go, by its name, and those of the fleet itself, by the name "fleet".
	// Nil discards them. The writers must be safe for concurrent use.
	Log func(name string) io.Writer
}

// Fleet is a running fleet. Its methods are safe for concurrent use. The caller closes it.
type Fleet struct {
	opts      Options
	log       io.Writer
	janitor   *janitor
	redis     store
	workDir   string
	balancer  *balancer
	instances []*Instance
	server    *http.Server
	url       string

	stopSupervising context.CancelFunc
	supervising     sync.WaitGroup
	hopeless        chan error // why an instance that never answered has ended
}

// Start starts a fleet and returns when all instances answer. ctx bounds the start only. A port that is in use is
// an error that says so, and so is an instance that ends again and again before it has ever answered.
func Start(ctx context.Context, opts Options) (*Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if opts.Log == nil {
		opts.Log = func(string) io.Writer { return io.Discard }
	}
	f := &Fleet{opts: opts, log: opts.Log("fleet"), hopeless: make(chan error, 1), stopSupervising: func() {}}
	for _, step := range []func(context.Context) error{f.prepare, f.openRedis, f.launch, f.awaitStart} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// prepare takes the port and makes what the instances need to start.
func (f *Fleet) prepare(ctx context.Context) (err error) {
	var names []string
	for i := range max(1, f.opts.Instances) {
		names = append(names, "web."+strconv.Itoa(i+1))
	}
	f.balancer = newBalancer(names)
	if f.opts.Program == "" {
		if f.opts.Program, err = os.Executable(); err != nil {
			return err
		}
	}
	if err := f.listen(ctx); err != nil {
		return err
	}
	if f.janitor, err = startJanitor(); err != nil {
		return err
	}
	f.workDir, err = f.janitor.makeDir("web") // empty, so that no instance finds somebody's .env
	return err
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
	go f.server.Serve(v4) //nolint:errcheck // it returns when the server is closed
	v6, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		go f.server.Serve(v6) //nolint:errcheck // it returns when the server is closed
	case f.opts.Port != 0 && errors.Is(err, syscall.EADDRINUSE): // a browser might meet the other program
		return portError(port, err)
	}
	return nil
}

func portError(port int, err error) error {
	return fmt.Errorf("port %d cannot be listened on, is another program using it? (%w)", port, err)
}

// launch starts the instances and whoever looks after them.
func (f *Fleet) launch(context.Context) error {
	supervision, cancel := context.WithCancel(context.Background())
	f.stopSupervising = cancel
	for _, m := range f.balancer.members {
		in := &Instance{fleet: f, member: m, out: f.opts.Log(m.name)}
		f.instances = append(f.instances, in)
		f.supervising.Go(func() { in.supervise(supervision) })
	}
	return nil
}

func (f *Fleet) awaitStart(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-f.hopeless:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	if err := f.await(ctx, unready); err != nil {
		return fmt.Errorf("the instances did not start: %w", context.Cause(ctx))
	}
	return nil
}

// URL returns the address of the balancer, without a slash at the end.
func (f *Fleet) URL() string { return f.url }

// Instances returns the instances, in order.
func (f *Fleet) Instances() []*Instance { return f.instances }

// Ready returns when every instance is up and can count visits, or with ctx's error.
func (f *Fleet) Ready(ctx context.Context) error { return f.await(ctx, ready) }

func (f *Fleet) await(ctx context.Context, least health) error {
	return f.balancer.await(ctx, func() bool {
		for _, in := range f.instances {
			if _, h := f.balancer.state(in.member); h < least {
				return false
			}
		}
		return true
	})
}

// RestartAll stops all instances at once, with SIGTERM, and returns when new ones answer.
func (f *Fleet) RestartAll(ctx context.Context) error {
	return f.each(func(in *Instance) error { return in.Restart(ctx) })
}

// Roll restarts one instance after the other, each when the one before it is back: if the program finishes the requests
// that it has taken, visitors notice nothing.
func (f *Fleet) Roll(ctx context.Context) error {
	for _, in := range f.instances {
		if err := in.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// each does something to all instances at once.
func (f *Fleet) each(do func(*Instance) error) error {
	errs := make([]error, len(f.instances))
	var all sync.WaitGroup
	for i, in := range f.instances {
		all.Go(func() { errs[i] = do(in) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Close ends everything in order: the balancer finishes the requests under way, then the instances stop, then
// Redis, and the temporary directory goes.
func (f *Fleet) Close() error {
	var errs []error
	if f.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if f.server.Shutdown(ctx) != nil {
			errs = append(errs, f.server.Close())
		}
	}
	f.stopSupervising()
	f.supervising.Wait()
	if f.redis != nil {
		errs = append(errs, f.redis.close())
	}
	if f.janitor != nil {
		errs = append(errs, f.janitor.close())
	}
	return errors.Join(errs...)
}

func (f *Fleet) say(format string, args ...any) { fmt.Fprintf(f.log, format+"\n", args...) }
