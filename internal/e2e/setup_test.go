package e2e

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// setup is one instance with a Redis into which a test can inject any fault, and a visitor.
type setup struct {
	server *redisserver.Server
	proxy  *redistest.Proxy // between the instance and the server
	admin  *redis.Client    // bypasses the proxy
	app    *instance
	tally  *tally
}

const (
	setupPassword = "p4ss-of-the-setup"
	// dropClients is the command that closes all connections but the test's own.
	dropClients = "CLIENT KILL TYPE normal SKIPME yes"
)

// newSetup starts a Redis, and an instance with that REDIS_TIMEOUT, which the visitor has visited.
func newSetup(t testing.TB, timeout time.Duration) *setup {
	t.Helper()
	s := newSetupWithoutApp(t)
	s.startApp(t, timeout)
	s.tally.recover()
	return s
}

// newSetupWithoutApp starts a Redis that keeps its data across a kill.
func newSetupWithoutApp(t testing.TB) *setup {
	t.Helper()
	keepSecret(t, "a password", setupPassword)
	s := &setup{server: redistest.StartWith(t, redisserver.Options{AppendOnly: true, Password: setupPassword})}
	s.proxy = redistest.NewProxy(t, s.server)
	s.admin = redistest.Client(t, s.server)
	return s
}

// startApp starts an instance with that REDIS_TIMEOUT.
func (s *setup) startApp(t testing.TB, timeout time.Duration) {
	t.Helper()
	s.app = start(t, "REDIS_URL="+s.proxy.URL(), "REDIS_TIMEOUT="+timeout.String())
	s.tally = newTally(t, s.app.url)
	s.tally.timeout = timeout
}

// do runs commands on the server: see [redistest.Do].
func (s *setup) do(t *testing.T, commands ...string) {
	t.Helper()
	redistest.Do(t, s.admin, commands...)
}
