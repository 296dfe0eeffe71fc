package fleet

import (
	"context"
	"errors"

	"visit-counter/internal/backend"
	"visit-counter/internal/redisserver"
)

// ErrNoServer reports that the fleet's Redis is not a redis-server of its own, which could be stopped or suspended.
var ErrNoServer = errors.New("the Redis of this fleet is not a redis-server of its own")

// store is where the instances keep their sessions.
type store interface {
	describe() string
	variables() []string // of the instances' environment
	close() error
}

// openRedis chooses the store and starts it if it is the fleet's own.
func (f *Fleet) openRedis(ctx context.Context) (err error) {
	switch {
	case f.opts.Memory:
		f.redis = memory{}
	case f.opts.RedisURL != "":
		f.redis = given(f.opts.RedisURL)
	default:
		f.redis, err = f.startRedis(ctx)
	}
	return err
}

func (f *Fleet) startRedis(ctx context.Context) (store, error) {
	dir, err := f.janitor.makeDir("redis")
	if err != nil {
		return nil, err
	}
	s, err := redisserver.Start(ctx, redisserver.Options{Dir: dir, AppendOnly: true})
	if err == nil {
		f.janitor.tell(started, s.PID())
		return server{s}, nil
	}
	if !errors.Is(err, redisserver.ErrNotInstalled) {
		return nil, err
	}
	e, err := backend.StartEmbedded()
	if err != nil {
		return nil, err
	}
	return embedded{e}, nil
}

// Redis says in a few words where the sessions are kept. There is no password in it.
func (f *Fleet) Redis() string { return f.redis.describe() }

// HasServer reports whether the fleet has a redis-server of its own, so that the methods below can work. Else they
// return [ErrNoServer].
func (f *Fleet) HasServer() bool {
	_, ok := f.redis.(server)
	return ok
}

// RedisRunning reports whether the redis-server is there. A suspended one is.
func (f *Fleet) RedisRunning() bool {
	s, ok := f.redis.(server)
	return ok && s.Running()
}

// StopRedis ends the redis-server in order. Its data stays in its append-only file.
func (f *Fleet) StopRedis(ctx context.Context) error {
	return f.onServer(func(s server) error { return s.Stop(ctx) })
}

// KillRedis ends the redis-server at once (SIGKILL).
func (f *Fleet) KillRedis() error {
	return f.onServer(func(s server) error { s.Kill(); return nil })
}

// StartRedis starts the redis-server again, at the same address and with its data, and returns when it answers.
func (f *Fleet) StartRedis(ctx context.Context) error {
	return f.onServer(func(s server) error {
		f.janitor.tell(ended, s.PID())
		err := s.Restart(ctx)
		f.janitor.tell(started, s.PID())
		return err
	})
}

// SuspendRedis freezes the redis-server: it keeps its connections and answers nothing.
func (f *Fleet) SuspendRedis() error { return f.onServer(func(s server) error { return s.Pause() }) }

// ResumeRedis undoes SuspendRedis.
func (f *Fleet) ResumeRedis() error { return f.onServer(func(s server) error { return s.Resume() }) }

func (f *Fleet) onServer(do func(server) error) error {
	s, ok := f.redis.(server)
	if !ok {
		return ErrNoServer
	}
	return do(s)
}

// server is a redis-server of the fleet's own.
type server struct{ *redisserver.Server }

func (s server) describe() string {
	return "a redis-server of its own at " + s.Addr() + ", with an append-only file"
}
func (s server) variables() []string { return []string{"SESSION_STORE=redis", "REDIS_URL=" + s.URL()} }
func (s server) close() error        { return s.Close() }

// embedded is the Redis inside this process.
type embedded struct{ *backend.Embedded }

func (e embedded) describe() string {
	return "a Redis embedded in this process, because redis-server is not installed: it outlives the instances, not this process"
}

// variables gives visits more time than usual: the embedded Redis runs a few hundred scripts a second, not thousands.
func (e embedded) variables() []string {
	return []string{"SESSION_STORE=redis", "REDIS_URL=" + e.URL(), "REDIS_TIMEOUT=7s"}
}
func (e embedded) close() error { e.Close(); return nil }

// given is the URL of somebody else's Redis.
type given string

func (g given) describe() string    { return "the Redis whose address was given" }
func (g given) variables() []string { return []string{"SESSION_STORE=redis", "REDIS_URL=" + string(g)} }
func (g given) close() error        { return nil }

// memory is no store at all: each instance keeps its sessions to itself.
type memory struct{}

func (memory) describe() string {
	return "no Redis: each instance keeps sessions in its own memory, as the page will show"
}
func (memory) variables() []string { return []string{"SESSION_STORE=memory"} }
func (memory) close() error        { return nil }
