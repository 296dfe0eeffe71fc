package fleet

import (
	"context"
	"errors"

	"visit-counter/internal/backend"
	"visit-counter/internal/redisserver"
)

// store is where the instances keep their sessions.
type store struct {
	name   string              // for people
	env    []string            // of the instances
	server *redisserver.Server // nil unless it is a redis-server of the fleet's own
	close  func() error        // nil if there is nothing to close
}

// openStore chooses the store and starts it if it is the fleet's own.
func openStore(ctx context.Context, opts Options) (store, error) {
	switch {
	case opts.Memory:
		return store{
			name: "no Redis: each instance keeps sessions in its own memory, as the page will show",
			env:  []string{"SESSION_STORE=memory"},
		}, nil
	case opts.RedisURL != "":
		return store{
			name: "the Redis whose address was given",
			env:  []string{"SESSION_STORE=redis", "REDIS_URL=" + opts.RedisURL},
		}, nil
	}
	server, err := redisserver.Start(ctx, redisserver.Options{AppendOnly: true})
	if errors.Is(err, redisserver.ErrNotInstalled) {
		return startEmbedded()
	}
	if err != nil {
		return store{}, err
	}
	return store{
		name:   "a redis-server of its own at " + server.Addr() + ", with an append-only file",
		env:    []string{"SESSION_STORE=redis", "REDIS_URL=" + server.URL()},
		server: server,
		close:  server.Close,
	}, nil
}

// startEmbedded starts a Redis inside this process. Visits get more time than usual: it runs a few hundred scripts a
// second, not thousands.
func startEmbedded() (store, error) {
	embedded, err := backend.StartEmbedded()
	if err != nil {
		return store{}, err
	}
	return store{
		name:  "a Redis embedded in this process, because redis-server is not installed: it outlives the instances, not this process",
		env:   []string{"SESSION_STORE=redis", "REDIS_URL=" + embedded.URL(), "REDIS_TIMEOUT=7s"},
		close: func() error { embedded.Close(); return nil },
	}, nil
}
