package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed wrk.lua
var wrkScript string

// target is what a load visits.
type target struct {
	url     string
	accept  string
	cookies []string
}

// load is what a load generator measured.
type load struct {
	requests int
	failed   int // of them: not answered with 200, or not within two seconds
	took     time.Duration
	p50, p99 time.Duration
}

// A generator keeps conns connections busy with visits for a time.
type generator func(ctx context.Context, t target, conns int, d time.Duration) (load, error)

// bestGenerator returns wrk if it is installed, because it costs least, else our own. wrk knows whole seconds only.
func bestGenerator(dir string, length time.Duration) (name string, g generator, err error) {
	bin, err := exec.LookPath("wrk")
	if err != nil || length%time.Second != 0 {
		return "the benchmark's own generator", generate, nil
	}
	script := filepath.Join(dir, "wrk.lua")
	return "wrk", wrk(bin, script), os.WriteFile(script, []byte(wrkScript), 0o600)
}

func wrk(bin, script string) generator {
	return func(ctx context.Context, t target, conns int, d time.Duration) (load, error) {
		file := filepath.Join(filepath.Dir(script), "cookies")
		if err := os.WriteFile(file, []byte(strings.Join(t.cookies, "\n")+"\n"), 0o600); err != nil {
			return load{}, err
		}
		cmd := exec.CommandContext(ctx, bin, "--threads", "1", "--connections", strconv.Itoa(conns),
			"--duration", strconv.Itoa(int(d.Seconds()))+"s", "--script", script, t.url)
		cmd.Env = []string{"COOKIES=" + file, "ACCEPT=" + t.accept}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return load{}, fmt.Errorf("wrk: %w\n%s", err, out)
		}
		return parseWrk(string(out))
	}
}

func parseWrk(out string) (load, error) {
	_, line, _ := strings.Cut(out, "measured ")
	var l load
	var took, p50, p99 int
	if _, err := fmt.Sscan(line, &l.requests, &l.failed, &p50, &p99, &took); err != nil {
		return load{}, fmt.Errorf("wrk printed something else than the script's line: %w\n%s", err, out)
	}
	if l.requests == 0 {
		return load{}, errors.New("the load was not served")
	}
	l.took = time.Duration(took) * time.Microsecond
	l.p50, l.p99 = time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	return l, nil
}

// generate is a generator for machines without wrk: a goroutine per connection that writes prepared requests.
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

// visitor sends the requests in turn over one connection, and returns how long each took. It counts those that failed.
func visitor(ctx context.Context, host string, requests [][]byte, from int, end time.Time, failed *atomic.Int64) ([]time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
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
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK, err
}
