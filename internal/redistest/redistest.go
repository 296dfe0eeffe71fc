// Package redistest gives tests real Redis servers, and the faults of a network between a test and them.
//
// A test that needs a server fails, in one clear line, where redis-server is not installed: it is never
// skipped. Everything a function of this package starts ends with the test that it was given.
package redistest

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"visit-counter/internal/redisserver"
)

const (
	startTimeout = 20 * time.Second // for one server
	waitTimeout  = 30 * time.Second // for one condition
	waitInterval = 10 * time.Millisecond
)

// Option changes how Start runs the server.
type Option func(*redisserver.Options)

// AppendOnly makes the server keep every acknowledged write over Kill and Restart.
func AppendOnly() Option {
	return func(o *redisserver.Options) { o.AppendOnly, o.Fsync = true, "always" }
}

// Password sets the password of the default user.
func Password(password string) Option {
	return func(o *redisserver.Options) { o.Password = password }
}

// Config adds lines of redis.conf.
func Config(lines ...string) Option {
	return func(o *redisserver.Options) { o.Config = append(o.Config, lines...) }
}

// TLS makes the server speak only TLS, with the certificate of files.
func TLS(files Files) Option {
	return func(o *redisserver.Options) {
		o.TLS = &redisserver.TLS{CertFile: files.CertFile, KeyFile: files.KeyFile, CAFile: files.CAFile}
	}
}

// Start runs a redis-server for the test: on a free port, empty, in a directory of its own.
func Start(t testing.TB, opts ...Option) *redisserver.Server {
	t.Helper()
	var o redisserver.Options
	for _, opt := range opts {
		opt(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := redisserver.Start(ctx, o)
	if err != nil {
		t.Fatalf("this test needs a real Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close redis-server: %v", err)
		}
	})
	return s
}

// Restart starts the server again, on the same port and with its data, and waits until it answers.
func Restart(t testing.TB, s *redisserver.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.Restart(ctx); err != nil {
		t.Fatalf("restart redis-server: %v", err)
	}
}

// Target is what a client or a Proxy connects to: a *redisserver.Server or a *Proxy.
type Target interface {
	Addr() string
	URL() string
}

// Client returns a plain client with which a test looks at its data. It never repeats a command, honours
// deadlines and believes every certificate.
func Client(t testing.TB, target Target) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(target.URL())
	if err != nil {
		t.Fatalf("the address of a test server: %v", err)
	}
	opts.MaxRetries = -1
	opts.DialerRetries = 1
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if opts.TLSConfig != nil {
		opts.TLSConfig = &tls.Config{InsecureSkipVerify: true}
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Wait returns as soon as the condition is met and fails the test if that takes more than 30 seconds. what
// completes the sentence "waited in vain for ...".
func Wait(t testing.TB, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
