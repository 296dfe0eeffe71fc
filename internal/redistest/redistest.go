// Package redistest gives tests real Redis servers, and injects network faults between a test and its server.
//
// If redis-server is not installed, a test that needs it fails with one clear line; it is never skipped. Everything that
// this package starts ends with the test.
package redistest

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"visit-counter/internal/poll"
	"visit-counter/internal/redisserver"
)

const (
	startTimeout = 20 * time.Second // for one server
	waitTimeout  = 30 * time.Second // for one condition
)

// Start runs an empty redis-server for the test, on a free port and in its own directory.
func Start(t testing.TB) *redisserver.Server {
	t.Helper()
	return StartWith(t, redisserver.Options{})
}

// StartWith is like Start, with options such as a password, TLS or lines of configuration. A server that must keep every
// acknowledged write across Kill and Restart needs AppendOnly.
func StartWith(t testing.TB, options redisserver.Options) *redisserver.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := redisserver.Start(ctx, options)
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

// ReservePort returns a port that stays reserved until the test ends, so that a server can be restarted on it.
func ReservePort(t testing.TB) redisserver.Port {
	t.Helper()
	port, err := redisserver.ReservePort()
	Must(t, err)
	t.Cleanup(port.Release)
	return port
}

// Target is what a client or a Proxy connects to: a *redisserver.Server or a *Proxy.
type Target interface {
	Addr() string
	URL() string
}

// Client returns a plain client for a test to inspect its data. It never retries a command, honours deadlines and accepts
// every certificate.
func Client(t testing.TB, target Target) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(target.URL())
	if err != nil {
		t.Fatalf("the address of a test server: %v", err)
	}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if options.TLSConfig != nil {
		options.TLSConfig = &tls.Config{InsecureSkipVerify: true}
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

// Do runs commands, each a text of words separated by blanks. It fails the test at once if the server refuses one.
func Do(t testing.TB, client *redis.Client, commands ...string) {
	t.Helper()
	for _, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		Must(t, client.Do(t.Context(), args...).Err())
	}
}

// Wait returns as soon as the condition is met, and fails the test if that takes more than 30 seconds. what completes the
// sentence "timed out waiting for ...".
func Wait(t testing.TB, what string, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	if poll.Until(ctx, met) != nil {
		t.Fatalf("timed out waiting for %s", what)
	}
}

// Must fails the test at once unless err is nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
