// Package backend opens the Redis that a process works with: the configured one, the one on a developer's own
// machine, or one embedded in the process.
package backend

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/config"
)

const (
	// localAddress is where a developer's own Redis is looked for.
	localAddress = "127.0.0.1:6379"
	// localTimeout is how long the look takes at most.
	localTimeout = 250 * time.Millisecond
)

// Backend is an open Redis. It is safe for concurrent use.
type Backend struct {
	// Client may be used until Close. It is nil if no Redis is configured on a platform that needs one.
	Client redis.UniversalClient
	// Redis says where it is. For an embedded one, only Source is set.
	Redis config.Redis
	// Memory is true for a Redis embedded in this process, which ends with it, data and all.
	Memory bool

	probeKey string
	close    []func()
}

// Open returns the Redis that the configuration asks for. It does not wait for it: a Redis that is down is found out
// by the first command, and logged. Only Store "auto" takes a look at the network, for a quarter of a second at most.
// go-redis' own messages go to log from then on, those of all clients in this process. The caller closes the Backend.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Backend, error) {
	redis.SetLogger(libraryLog{log})
	switch {
	case cfg.Store == config.StoreMemory:
		return openEmbedded(cfg, log)
	case cfg.Store == config.StoreAuto:
		local := cfg.RedisAt(localAddress, "the Redis on this machine")
		if answers(ctx, local) {
			return open(cfg, local, log), nil
		}
		return openEmbedded(cfg, log)
	case cfg.Redis.Options == nil:
		return &Backend{}, nil
	}
	return open(cfg, cfg.Redis, log), nil
}

func open(cfg config.Config, r config.Redis, log *slog.Logger) *Backend {
	b := &Backend{Client: r.Client(), Redis: r, probeKey: cfg.KeyPrefix + "probe"}
	w := &watcher{
		probe: b.Ping, patience: cfg.RedisTimeout,
		log:       log.With(slog.String("source", r.Source), slog.String("address", r.Address)),
		suspicion: make(chan struct{}, 1),
	}
	b.Client.AddHook(w)
	switch client := b.Client.(type) {
	case *redis.ClusterClient:
		// Without the others: nodes are tried in turn, and one that is away would hold up a batch.
		client.OnNewNode(func(node *redis.Client) { node.AddHook(tracer{}) })
	case *redis.Client:
		client.AddHook(tracer{})
		client.AddHook(dialer{})
		client.AddHook(newBatcher(client))
	}
	ctx, stop := context.WithCancel(context.Background())
	go w.run(ctx)
	b.close = []func(){stop, func() { _ = b.Client.Close() }} // nothing is left to do about an error
	return b
}

// Ping reports whether Redis can keep sessions now: it answers, all masters of a Cluster do, and it takes writes. It
// asks with a write that finds nothing to change, because a replica and a full Redis answer everything else.
func (b *Backend) Ping(ctx context.Context) error {
	if b.Client == nil {
		return errors.New("no Redis is configured")
	}
	if cluster, ok := b.Client.(*redis.ClusterClient); ok {
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
		if err != nil {
			return err
		}
	}
	err := b.Client.SetArgs(ctx, b.probeKey, "", redis.SetArgs{Mode: "XX"}).Err()
	if errors.Is(err, redis.Nil) { // there is no such key, so nothing was set
		return nil
	}
	return err
}

// Close ends the connections, and the embedded Redis.
func (b *Backend) Close() {
	for _, f := range b.close {
		f()
	}
}

func answers(ctx context.Context, r config.Redis) bool {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	client := r.Client()
	defer func() { _ = client.Close() }()
	return client.Ping(ctx).Err() == nil
}
