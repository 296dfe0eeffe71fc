package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// plan says how much to measure.
type plan struct {
	rounds int
	length time.Duration // of one measurement
	visits int           // none of them may be lost
	resets int           // none of them may be undone
	stored int           // sessions in Redis in addition to the visited ones
	old    string        // another build of the app, measured too
}

const (
	sessionsPerRow = 256
	manyConns      = 64
	oneConn        = 1

	html = "text/html"
	json = "application/json"

	limitRow  = "limit"
	redigoRow = "gin-contrib redis (redigo)"
)

// row is a line of the report: a program with one kind of answer.
type row struct {
	name     string
	accept   string
	store    string // "" if it counts in its own memory
	process  *process
	server   *redisserver.Server // that the program uses
	cookies  []string
	rounds   map[int][]round // by connections
	commands int             // to Redis, per visit
	lost     int64
	back     int64 // sessions that came back after a reset
	resident int   // bytes, at the end
}

// round is one measurement of a row.
type round struct {
	load
	app, redis time.Duration // processor time per request
}

// bench holds the programs under test and what they share.
type bench struct {
	plan    plan
	dir     string // temporary
	server  *redisserver.Server
	rdb     *redis.Client
	rows    []*row
	binary  int64 // size of the app, in bytes
	closers []func() error
}

// newBench starts a Redis, builds the app and starts all programs. The caller closes it.
func newBench(ctx context.Context, p plan) (_ *bench, err error) {
	b := &bench{plan: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(b.dir) })
	if b.server, err = redisserver.Start(ctx, redisserver.Options{}); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, b.server.Close)
	b.rdb = redis.NewClient(&redis.Options{Addr: b.server.Addr()})
	b.closers = append(b.closers, b.rdb.Close)
	if p.stored > 0 {
		return b, nil
	}
	return b, b.start(ctx)
}

// close stops everything that was started, in reverse order.
func (b *bench) close() (err error) {
	for _, closer := range slices.Backward(b.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// start starts every program and makes its sessions.
func (b *bench) start(ctx context.Context) error {
	app, err := buildApp(ctx, b.dir)
	if err != nil {
		return err
	}
	built, err := os.Stat(app)
	if err != nil {
		return err
	}
	b.binary = built.Size()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, other := range []*row{
		{name: "gin, no Redis", accept: html, store: ""},
		{name: limitRow, accept: html, store: "limit"},
		{name: "target-lua", accept: html, store: "lua"},
		{name: redigoRow, accept: html, store: "redigo"},
		{name: "scs + goredisstore", accept: html, store: "scs"},
	} {
		command := other.store
		if command == "" {
			command = "bare"
		}
		env := []string{"REDIS_ADDR=" + b.server.Addr()}
		if err := b.add(ctx, b.server, self, []string{serveCommand, command}, env, other); err != nil {
			return err
		}
	}
	if b.plan.old != "" {
		if err := b.addApp(ctx, "old visit-counter", b.plan.old); err != nil {
			return err
		}
	}
	return b.addApp(ctx, "visit-counter", app)
}

// addApp starts a build of the app with each pool size.
func (b *bench) addApp(ctx context.Context, name, bin string) error {
	for _, pool := range []string{"4", "20"} {
		err := b.add(ctx, b.server, bin, nil, appEnv(b.server, pool),
			&row{name: name + ", JSON, pool " + pool, accept: json, store: "redisstore"},
			&row{name: name + ", HTML, pool " + pool, accept: html, store: "redisstore"})
		if err != nil {
			return err
		}
	}
	return nil
}

// appEnv is the environment of the app: the defaults, except for the pool size.
func appEnv(server *redisserver.Server, pool string) []string {
	return []string{"REDIS_URL=" + server.URL(), "REDIS_POOL_SIZE=" + pool}
}

// add starts a program that uses the server, for the rows, and makes their sessions.
func (b *bench) add(ctx context.Context, server *redisserver.Server, bin string, args, env []string, rows ...*row) error {
	p, err := launch(ctx, b.dir, bin, args, env)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { p.end(); return nil })
	for _, r := range rows {
		r.process, r.server, r.rounds = p, server, make(map[int][]round)
		if r.cookies, err = newSessions(ctx, p.url, sessionsPerRow); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		b.rows = append(b.rows, r)
	}
	return nil
}

// buildApp builds the app with make, as developers do, and returns the path of a copy in dir.
func buildApp(ctx context.Context, dir string) (string, error) {
	source, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "visit-counter").Output()
	if err != nil {
		return "", fmt.Errorf("run it in the directory bench: %w", err)
	}
	folder := strings.TrimSpace(string(source))
	if out, err := exec.CommandContext(ctx, "make", "-C", folder, "build").CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	bin := filepath.Join(dir, "visit-counter")
	built, err := os.ReadFile(filepath.Join(folder, "bin", "visit-counter"))
	if err != nil {
		return "", err
	}
	return bin, os.WriteFile(bin, built, 0o700)
}

// measure puts all rows under load in turn, and then measures what does not depend on time.
func (b *bench) measure(ctx context.Context) error {
	for range b.plan.rounds {
		for _, conns := range []int{manyConns, oneConn} {
			if err := b.round(ctx, conns); err != nil {
				return err
			}
		}
	}
	for _, r := range b.rows {
		if err := b.examine(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// failed returns how many requests failed in all rounds.
func (r *row) failed() (n int) {
	for _, rounds := range r.rounds {
		for _, m := range rounds {
			n += m.failed
		}
	}
	return n
}

// round measures every row once.
func (b *bench) round(ctx context.Context, conns int) error {
	for _, r := range b.rows {
		m, err := b.once(ctx, r, conns)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		r.rounds[conns] = append(r.rounds[conns], m)
	}
	return nil
}

// once puts a row under load once.
func (b *bench) once(ctx context.Context, r *row, conns int) (round, error) {
	pids := [2]int{r.process.cmd.Process.Pid, r.server.PID()}
	var before, after [2]time.Duration
	var err error
	for i, pid := range pids {
		if before[i], err = cpuTime(pid); err != nil {
			return round{}, err
		}
	}
	l, err := generate(ctx, target{r.process.url, r.accept, r.cookies}, conns, b.plan.length)
	if err != nil {
		return round{}, err
	}
	for i, pid := range pids {
		if after[i], err = cpuTime(pid); err != nil {
			return round{}, err
		}
	}
	n := time.Duration(l.requests)
	return round{load: l, app: (after[0] - before[0]) / n, redis: (after[1] - before[1]) / n}, nil
}

// examine measures what does not depend on time.
func (b *bench) examine(ctx context.Context, r *row) (err error) {
	if r.resident, err = residentBytes(r.process.cmd.Process.Pid); err != nil || r.store == "" {
		return err
	}
	if r.commands, err = commandsPerVisit(ctx, b.rdb, r.process.url); err != nil {
		return err
	}
	if r.lost, err = lostOf(ctx, r.process.url, b.plan.visits); err != nil {
		return err
	}
	r.back, err = resurrectedOf(ctx, r.process.url, b.plan.resets)
	return err
}
