package e2e

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// setup is one instance with a Redis that can be broken in every way, and a visitor.
type setup struct {
	server *redisserver.Server
	proxy  *redistest.Proxy // between the instance and the server
	admin  *redis.Client    // past the proxy
	app    *instance
	tally  *tally
}

const setupPassword = "p4ss-of-the-setup"

// newSetup starts a Redis that keeps its data over a kill, and an instance, which the visitor has visited once.
func newSetup(t testing.TB, env ...string) *setup {
	t.Helper()
	keepSecret(t, "a password", setupPassword)
	s := &setup{server: redistest.StartWith(t, redisserver.Options{AppendOnly: true, Password: setupPassword})}
	s.proxy = redistest.NewProxy(t, s.server)
	s.admin = redistest.Client(t, s.server)
	s.app = start(t, append(env, "REDIS_URL="+s.proxy.URL())...)
	s.app.awaitRedis(t)
	s.tally = newTally(t, s.app.url)
	s.tally.visit()
	return s
}

// do runs commands on the server, each given as words with blanks between.
func (s *setup) do(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		do(t, s.admin, args...)
	}
}

// dropClients makes the server close all connections but the test's own.
func (s *setup) dropClients(t *testing.T) {
	t.Helper()
	s.do(t, "CLIENT KILL TYPE normal SKIPME yes")
}

func pause(t testing.TB, server *redisserver.Server) {
	t.Helper()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
}
