package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
)

// compareStored measures our app twice, in turn: with an otherwise empty Redis, and with one that holds the plan's
// number of sessions more.
func (b *bench) compareStored(ctx context.Context, out io.Writer) error {
	app, err := buildApp(ctx, b.dir)
	if err != nil {
		return err
	}
	servers := []*redisserver.Server{b.server, nil}
	if servers[1], err = redisserver.Start(ctx, redisserver.Options{}); err != nil {
		return err
	}
	defer servers[1].Close()
	for i, server := range servers {
		row := &row{name: fmt.Sprintf("%d sessions", sessionsPerRow), accept: json, store: "redisstore"}
		if err := b.add(ctx, app, nil, appEnv(server.URL(), "4"), row); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		row.name = fmt.Sprintf("%d sessions more", b.plan.stored)
		if err := fillFrom(ctx, server.Addr(), b.plan.stored); err != nil {
			return err
		}
	}
	return b.printStored(ctx, out, servers)
}

func (b *bench) printStored(ctx context.Context, out io.Writer, servers []*redisserver.Server) error {
	for range b.plan.rounds {
		for i, r := range b.rows {
			b.server = servers[i]
			m, err := b.once(ctx, r, manyConns)
			if err != nil {
				return err
			}
			r.rounds[manyConns] = append(r.rounds[manyConns], m)
		}
	}
	b.server = servers[0]
	line(out, "in Redis", "req/s", "p50 µs", "p99 µs", "app CPU µs", "Redis CPU µs")
	line(out, "---", "--:", "--:", "--:", "--:", "--:")
	for _, r := range b.rows {
		own := r.rounds[manyConns]
		line(out, r.name, whole(median(own, rate)), whole(median(own, p50)), whole(median(own, p99)),
			tenths(median(own, appCPU)), tenths(median(own, redisCPU)))
	}
	return nil
}

// fillFrom puts n copies of a session that is there into the Redis at addr.
func fillFrom(ctx context.Context, addr string, n int) error {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: -1})
	defer rdb.Close()
	keys, _, err := rdb.Scan(ctx, 0, "visits:session:*", 100).Result()
	if err != nil || len(keys) == 0 {
		return fmt.Errorf("no session to copy: %w", err)
	}
	fmt.Fprintf(os.Stderr, "storing %d sessions\n", n)
	return fill(ctx, rdb, keys[0], n)
}
