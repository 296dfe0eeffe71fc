package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// compareStored measures the app in interleaved rounds with two servers: an otherwise empty Redis, and one that holds the
// plan's number of additional sessions.
func (b *bench) compareStored(ctx context.Context, out io.Writer) error {
	app, err := buildApp(ctx, b.dir)
	if err != nil {
		return err
	}
	full, err := redisserver.Start(ctx, redisserver.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = full.Close() }()
	for _, server := range []*redisserver.Server{b.server, full} {
		row := &row{name: fmt.Sprintf("%d sessions", sessionsPerRow), accept: json, store: "redisstore"}
		if err := b.add(ctx, server, app, nil, appEnv(server, "4"), row); err != nil {
			return err
		}
	}
	b.rows[1].name = fmt.Sprintf("%d sessions more", b.plan.stored)
	if err := fill(ctx, full.Addr(), b.plan.stored); err != nil {
		return err
	}
	for range b.plan.rounds {
		if err := b.round(ctx, manyConns); err != nil {
			return err
		}
	}
	b.reportStored(out)
	return nil
}

func (b *bench) reportStored(out io.Writer) {
	line(out, "in Redis", "req/s", "p50 µs", "p99 µs", "app CPU µs", "Redis CPU µs")
	line(out, "---", "--:", "--:", "--:", "--:", "--:")
	for _, r := range b.rows {
		own := r.rounds[manyConns]
		line(out, r.name, rounded(median(own, rate)), rounded(median(own, p50)), rounded(median(own, p99)),
			tenths(median(own, appCPU)), tenths(median(own, redisCPU)))
	}
}

// fill puts n copies of an existing session into the Redis at addr.
func fill(ctx context.Context, addr string, n int) error {
	const batch = 5000
	rdb := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: -1})
	defer func() { _ = rdb.Close() }()
	keys, _, err := rdb.Scan(ctx, 0, "visits:session:*", 100).Result()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("there is no session to copy")
	}
	fmt.Fprintf(os.Stderr, "storing %d sessions\n", n)
	script := redis.NewScript(`
		local dump = redis.call('DUMP', KEYS[1])
		for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do redis.call('RESTORE', KEYS[1] .. string.format('%012d', i), 86400000, dump) end
		return 0`)
	for i := 0; i < n; i += batch {
		if err := script.Run(ctx, rdb, keys[:1], i, min(batch, n-i)).Err(); err != nil {
			return err
		}
	}
	return nil
}
