// Package backend opens the Redis that a process works with: the configured one, the one on a developer's own
// machine, or one embedded in the process.
package backend

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
)

// localTimeout limits the search for a Redis on a developer's machine, independently of REDIS_TIMEOUT.
const localTimeout = 250 * time.Millisecond

// Backend is an open Redis. It is safe for concurrent use.
type Backend struct {
	Store config.Store // never StoreAuto
	// Client may be used until Close. It is nil if Store is StoreNone.
	Client redis.UniversalClient
	// Redis says where it is. For an embedded one, only Source is set.
	Redis config.Redis

	watcher *watcher // nil without anything to watch
	close   []func()
}

// Open returns the Redis that the configuration asks for. It does not wait for it: the first command finds out whether
// Redis is up, see [Backend.Watch]. Only StoreAuto probes the network, for at most a quarter of a second. Open silences
// go-redis' own log for all clients of this process: it may quote what was sent, and everything that matters comes back as
// an error too. The caller closes the Backend.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Backend, error) {
	logging.Disable()
	switch cfg.Store {
	case config.StoreMemory:
		return openEmbedded(cfg, log)
	case config.StoreAuto:
		if speaksRedis(ctx, config.LocalRedis) {
			return open(cfg, cfg.RedisAt(config.LocalRedis, "the Redis on this machine"), log), nil
		}
		return openEmbedded(cfg, log)
	case config.StoreNone:
		return &Backend{Store: config.StoreNone}, nil
	}
	return open(cfg, cfg.Redis, log), nil
}

func open(cfg config.Config, r config.Redis, log *slog.Logger) *Backend {
	log = log.With(slog.String("source", r.Source), slog.String("address", r.Address()))
	w := newWatcher(cfg.RedisTimeout, log)
	client, closeClient := connect(r, log, w)
	return &Backend{
		Store: config.StoreRedis, Client: client, Redis: r,
		watcher: w, close: []func(){closeClient},
	}
}

// Watch logs when Redis comes and goes, until Close. It calls check, which must ask Redis what a visit asks, at once, after
// each command that has failed, and every 250 ms while Redis is away.
func (b *Backend) Watch(check func(context.Context) error) {
	if b.watcher == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	b.close = append([]func(){stop}, b.close...)
	go b.watcher.run(ctx, check)
}

// Connect returns a client like that of a [Backend], but one that repeats nothing: it returns the first error that Redis
// gives. It does no I/O. The caller closes the client with closeClient.
func Connect(r config.Redis) (client redis.UniversalClient, closeClient func()) {
	return connect(r, slog.New(slog.DiscardHandler))
}

// connect returns a client whose commands go through the hooks and then through those that every client has.
func connect(r config.Redis, log *slog.Logger, hooks ...redis.Hook) (client redis.UniversalClient, closeClient func()) {
	closeClient = func() { _ = client.Close() } // nothing is left to do about an error
	client = r.Client()
	for _, hook := range hooks {
		client.AddHook(hook)
	}
	switch client := client.(type) {
	case *redis.ClusterClient:
		// Nodes get no other hooks: they are tried in turn, and one that is away would hold up a batch.
		client.OnNewNode(func(node *redis.Client) {
			node.AddHook(tracer{})
			node.AddHook(greeter{})
		})
	case *redis.Client:
		alone := &switcher{redis: r, log: log}
		client.AddHook(alone)
		client.AddHook(tracer{})
		client.AddHook(newDialer(client.Options()))
		client.AddHook(greeter{})
		client.AddHook(newBatcher(client))
		closeClient = func() {
			alone.close()
			_ = client.Close()
		}
	}
	return client, closeClient
}

// Close ends the connections, and the embedded Redis.
func (b *Backend) Close() {
	for _, f := range b.close {
		f()
	}
}

// speaksRedis reports whether a Redis answers at addr. One that is loading its data or wants a password counts too: the app
// waits for it, or explains the refusal.
func speaksRedis(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	client, closeClient := Connect(config.Config{RedisTimeout: time.Second, RedisPoolSize: 1}.RedisAt(addr, ""))
	defer closeClient()
	err := client.Ping(ctx).Err()
	return err == nil || errors.As(err, new(redis.Error)) || errors.As(err, new(redisfault.Fault))
}
