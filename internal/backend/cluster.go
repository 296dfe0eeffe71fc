package backend

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
)

// switcher uses a Redis as a Cluster once it has answered that it is a node of one (MOVED), although it is not configured
// as one. Otherwise a node would serve its own share of the sessions and refuse the others.
type switcher struct {
	passThrough
	redis config.Redis
	log   *slog.Logger

	mu      sync.Mutex // held to set cluster
	cluster atomic.Pointer[redis.ClusterClient]
}

// ProcessHook sends a command to the node that it belongs to. The greeting belongs to the connection.
func (s *switcher) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if isGreeting(cmd) {
			return next(ctx, cmd)
		}
		if cluster := s.cluster.Load(); cluster != nil {
			return cluster.Process(ctx, cmd)
		}
		err := next(ctx, cmd)
		if moved(err) {
			return s.join().Process(ctx, cmd)
		}
		return err
	}
}

// ProcessPipelineHook does the same for a pipeline, but leaves transactions alone.
func (s *switcher) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if isGreeting(cmds[0]) || cmds[0].Name() == "multi" {
			return next(ctx, cmds)
		}
		elsewhere := cmds
		if s.cluster.Load() == nil {
			err := next(ctx, cmds)
			elsewhere = slices.DeleteFunc(slices.Clone(cmds), func(cmd redis.Cmder) bool { return !moved(cmd.Err()) })
			if len(elsewhere) == 0 {
				return err
			}
		}
		pipe := s.join().Pipeline()
		for _, cmd := range elsewhere {
			_ = pipe.Process(ctx, cmd) // only queues it
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil {
				return err
			}
		}
		return nil
	}
}

func moved(err error) bool { return err != nil && redisfault.Explain(err).Code == "MOVED" }

// join returns the Cluster.
func (s *switcher) join() *redis.ClusterClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cluster := s.cluster.Load(); cluster != nil {
		return cluster
	}
	s.log.Warn("this Redis is a node of a Cluster, and is used as a Cluster from now on",
		slog.String("hint", "Set REDIS_CLUSTER=true."))
	options := *s.redis.Options
	options.IsClusterMode = true
	client, _ := connect(config.Redis{Options: &options}, s.log)
	cluster := client.(*redis.ClusterClient)
	s.cluster.Store(cluster)
	return cluster
}

func (s *switcher) close() {
	if cluster := s.cluster.Load(); cluster != nil {
		_ = cluster.Close() // nothing is left to do about an error
	}
}
