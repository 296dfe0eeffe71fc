package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/config"
	"visit-counter/internal/redistest"
)

const useCommand = "use-redis"

// init lets the test binary act as a process that uses a Redis until SIGTERM.
func init() {
	if len(os.Args) != 4 || os.Args[1] != useCommand {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	release, err := localRedis{addr: os.Args[2], dir: os.Args[3]}.use(ctx, os.Stdout)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("using it")
	<-ctx.Done()
	release()
	os.Exit(0)
}

// use starts a process that uses a Redis, and returns once it does.
func use(t *testing.T, r localRedis) *process {
	t.Helper()
	user := launch(t, t.TempDir(), useCommand, r.addr, r.dir)
	await(t, &user.out, "using it")
	return user
}

// started reports whether this process had to start the Redis.
func started(user *process) bool { return strings.Contains(user.out.String(), "started redis-server") }

func TestARedisIsKeptUntilTheLastOfItsUsersHasEnded(t *testing.T) {
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(how.String(), func(t *testing.T) {
			r := localRedis{addr: redistest.ReservePort(t).Addr(), dir: t.TempDir()}
			gone := func() bool { return !r.listens() }
			client := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1})
			defer func() { _ = client.Close() }()

			first := use(t, r)
			must(t, client.Set(t.Context(), "count", 1, 0).Err())
			second := use(t, r)
			first.end(how)
			third := use(t, r)
			if !started(first) || started(second) || started(third) {
				t.Errorf("started by the first: %v, the second: %v, the third: %v; want only the first",
					started(first), started(second), started(third))
			}
			must(t, client.Incr(t.Context(), "count").Err())
			second.end(how)
			third.end(how)
			redistest.Wait(t, "Redis to end with its last user", gone)

			fourth := use(t, r)
			redistest.Wait(t, "Redis to have loaded its data", func() bool { return client.Ping(t.Context()).Err() == nil })
			if got := client.Incr(t.Context(), "count").Val(); got != 3 || !started(fourth) {
				t.Errorf("after the restart (started: %v) the count is %d, want 3", started(fourth), got)
			}
			fourth.end(how)
			redistest.Wait(t, "Redis to end again", gone)
			redistest.Wait(t, "the process that kept it to end", func() bool {
				unused, err := os.OpenFile(r.dir+"/users", os.O_RDWR, 0)
				must(t, err)
				defer func() { _ = unused.Close() }()
				return tryLock(unused, exclusive) == nil
			})
		})
	}
}

func TestARedisIsStartedOnlyIfNoneIsConfigured(t *testing.T) {
	for variable, want := range map[string]bool{
		"": true, "SESSION_STORE=auto": true, "SESSION_STORE=redis": true, "SESSION_STORE=memory": false,
		"REDIS_URL=redis://example.com": false, "REDIS_URL=redis://127.0.0.1:6379": false, "DYNO=web.1": false,
	} {
		name, value, _ := strings.Cut(variable, "=")
		cfg, err := config.Load(environment(name, value))
		must(t, err)
		if got := looksHere(cfg); got != want {
			t.Errorf("with %q: %v, want %v", variable, got, want)
		}
	}
}

func TestARunningRedisIsUsedAndLeftAlone(t *testing.T) {
	server := redistest.Start(t)
	r := localRedis{addr: server.Addr(), dir: t.TempDir()}
	var out bytes.Buffer
	release, err := r.use(t.Context(), &out)
	must(t, err)
	release()
	if out.Len() > 0 || !server.Running() {
		t.Errorf("output %q, running: %v; want no output, and a Redis that runs", out.String(), server.Running())
	}
}

func TestARedisThatDoesNotStartIsAnError(t *testing.T) {
	bin := t.TempDir()
	must(t, os.WriteFile(bin+"/redis-server", []byte("#!/bin/sh\nexit 1\n"), 0o700))
	t.Setenv("PATH", bin)
	r := localRedis{addr: redistest.ReservePort(t).Addr(), dir: t.TempDir()}
	if _, err := r.use(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "redis.log") {
		t.Errorf("err = %v, want one that names the log file", err)
	}
}

func TestWithoutRedisServerNothingIsStarted(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir() + "/redis"
	release, err := localRedis{addr: "127.0.0.1:1", dir: dir}.use(t.Context(), io.Discard)
	must(t, err)
	release()
	if _, err := os.Stat(dir); err == nil {
		t.Error("use created a directory although it cannot start a Redis")
	}
}
