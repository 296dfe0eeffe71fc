package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// target is what a load generator visits.
type target struct {
	url     string
	accept  string
	cookies []string
}

// load is what a load generator measured.
type load struct {
	requests int
	failed   int // requests that were not answered with 200
	took     time.Duration
	p50, p99 time.Duration
}

// generate keeps conns connections busy with visits for the duration d. Each has a goroutine that writes prepared requests.
func generate(ctx context.Context, t target, conns int, d time.Duration) (load, error) {
	where, err := url.Parse(t.url)
	if err != nil {
		return load{}, err
	}
	requests := make([][]byte, len(t.cookies))
	for i, cookie := range t.cookies {
		requests[i] = fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nAccept: %s\r\n\r\n", where.Host, cookie, t.accept)
	}
	start := time.Now()
	times := make([][]time.Duration, conns)
	var failed atomic.Int64
	err = together(conns, func(i int) (err error) {
		times[i], err = visitor(ctx, where.Host, requests, i*len(requests)/conns, start.Add(d), &failed)
		return err
	})
	all := slices.Concat(times...)
	if err != nil || len(all) == 0 {
		return load{}, errors.Join(err, errors.New("the load was not served"))
	}
	slices.Sort(all)
	return load{len(all), int(failed.Load()), time.Since(start), all[len(all)/2], all[len(all)*99/100]}, nil
}

// visitor sends the requests in turn over one connection, and returns how long each took. It counts the failed ones.
func visitor(ctx context.Context, host string, requests [][]byte, from int, end time.Time, failed *atomic.Int64) ([]time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	var times []time.Duration
	for i, start := from, time.Now(); start.Before(end); i++ {
		if _, err := conn.Write(requests[i%len(requests)]); err != nil {
			return nil, err
		}
		ok, err := readAnswer(answers)
		if err != nil {
			return nil, err
		}
		if !ok {
			failed.Add(1)
		}
		now := time.Now()
		times = append(times, now.Sub(start))
		start = now
	}
	return times, nil
}

// readAnswer reads one answer, and reports whether it is a 200.
func readAnswer(r *bufio.Reader) (ok bool, err error) {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK, err
}
