package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// commandsPerVisit returns how many commands one visit of a returning visitor sends to Redis. It is the median of several
// visits, so that other commands of a program do not count. Unlike INFO commandstats, MONITOR distinguishes the commands of
// a client from those of a script.
func commandsPerVisit(ctx context.Context, rdb *redis.Client, url string) (int, error) {
	const visits = 21
	client := newClient(1)
	defer client.CloseIdleConnections()
	cookies, err := newSessions(ctx, url, 1)
	if err != nil {
		return 0, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", rdb.Options().Addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, err
	}
	seen := bufio.NewReader(conn)
	reply, err := seen.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if reply != "+OK\r\n" {
		return 0, fmt.Errorf("MONITOR is answered with %q", reply)
	}
	counts := make([]int, visits)
	for i := range counts {
		if _, err := get(ctx, client, url, cookies[0]); err != nil {
			return 0, err
		}
		if counts[i], err = countUntil(ctx, rdb, seen, fmt.Sprintf("end of visit %d", i)); err != nil {
			return 0, err
		}
	}
	slices.Sort(counts)
	return counts[visits/2], nil
}

// countUntil sends a mark to Redis and returns how many client commands MONITOR has shown before it.
func countUntil(ctx context.Context, rdb *redis.Client, seen *bufio.Reader, mark string) (n int, err error) {
	if err := rdb.Echo(ctx, mark).Err(); err != nil {
		return 0, err
	}
	for {
		line, err := seen.ReadString('\n')
		if err != nil || strings.Contains(line, mark) {
			return n, err
		}
		if !strings.Contains(line, " lua] ") {
			n++
		}
	}
}
