package fleet

import (
	"context"
	"errors"

	"visit-counter/internal/backend"
	"visit-counter/internal/redisserver"
)

// store is where the instances keep their sessions.
type store struct {
	name   string              // as shown to people
	env    []string            // variables for the instances
	server *redisserver.Server // nil unless the fleet has started a redis-server
	close  func() error        // nil if there is nothing to close
}

// openStore chooses the store, and starts a Redis if none was given.
func openStore(ctx context.Context, opts Options) (store, error) {
	switch {
	case opts.Memory:
		return store{
			name: "no Redis: each instance keeps sessions in its own memory, as the page shows",
			env:  []string{"SESSION_STORE=memory"},
		}, nil
	case opts.RedisURL != "":
		return store{
			name: "the given Redis",
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
		name:   "its own redis-server at " + server.Addr() + ", with an append-only file",
		env:    []string{"SESSION_STORE=redis", "REDIS_URL=" + server.URL()},
		server: server,
		close:  server.Close,
	}, nil
}

// startEmbedded starts a Redis inside this process. It runs a few hundred scripts a second, not thousands, so visits get
// more time than usual.
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
