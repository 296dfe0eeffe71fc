package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestMain lets the test binary be the programs under test, as main does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2]))
	}
	os.Exit(m.Run())
}

// quick is a plan for figures that nobody should read.
func quick() plan { return plan{rounds: 1, length: 100 * time.Millisecond, visits: 500, resets: 20} }

func TestWhatDoesNotDependOnTimeHoldsUnderLoad(t *testing.T) {
	var raw, out bytes.Buffer
	b, err := newBench(t.Context(), quick(), &raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	report(&out, b)
	for _, r := range b.rows {
		for _, conns := range []int{manyConns, oneConn} {
			if m := r.rounds[conns]; len(m) != 1 || m[0].requests == 0 || m[0].failed != 0 || m[0].p50 <= 0 || m[0].p99 < m[0].p50 {
				t.Errorf("%s with %d connections: measured %+v", r.name, conns, m)
			}
		}
		if !strings.Contains(out.String(), "| "+r.name+" |") || !strings.Contains(raw.String(), r.name) {
			t.Errorf("%s is missing in the report or in the single measurements", r.name)
		}
		if r.store == "redisstore" && (r.commands != 1 || r.lost != 0 || r.back != 0) {
			t.Errorf("%s: %d commands per visit, %d visits lost, %d sessions back after a reset; want 1, 0, 0",
				r.name, r.commands, r.lost, r.back)
		}
	}
	if b.binary == 0 || b.binary >= 25e6 {
		t.Errorf("the binary of visit-counter has %d bytes; want less than 25 MB", b.binary)
	}
	checkSessionsAreSmall(t, b.rdb)
	checkOneCommandPerVisit(t, b)
}

func TestSessionsThatLieInRedisAreCompared(t *testing.T) {
	p := quick()
	p.stored = 5001 // more than are stored at once
	var raw, out bytes.Buffer
	b, err := newBench(t.Context(), p, &raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.compareStored(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"256 sessions", "5001 sessions more"} {
		if !strings.Contains(out.String(), "| "+name+" |") || !strings.Contains(raw.String(), name) {
			t.Errorf("%s: missing in the report or in the single measurements:\n%s\n%s", name, out.String(), raw.String())
		}
	}
}

// checkSessionsAreSmall checks all sessions of our app, those that 64 requests visited at once too.
func checkSessionsAreSmall(t *testing.T, rdb *redis.Client) {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "visits:session:*").Result()
	if err != nil || len(keys) < sessionsPerRow {
		t.Fatalf("there are %d sessions (%v)", len(keys), err)
	}
	for _, key := range keys {
		size, err := rdb.MemoryUsage(t.Context(), key).Result()
		if err != nil || size >= 600 {
			t.Errorf("a session of one process takes %d bytes, want less than 600 (%v)", size, err)
		}
		if encoding, err := rdb.ObjectEncoding(t.Context(), key).Result(); err != nil || encoding != "listpack" {
			t.Errorf("a session is a %s, want a listpack (%v)", encoding, err)
		}
	}
}

// checkOneCommandPerVisit counts with INFO commandstats, which counts what the script does too: but only a client
// sends EVALSHA, EVAL or PING.
func checkOneCommandPerVisit(t *testing.T, b *bench) {
	t.Helper()
	const visits = 50
	if err := b.rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	client := newClient(1)
	defer client.CloseIdleConnections()
	ours := b.rows[len(b.rows)-1]
	for range visits {
		if _, err := get(t.Context(), client, ours.process.url, ours.cookies[0]); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := b.rdb.Info(t.Context(), "commandstats").Result()
	if err != nil || !strings.Contains(stats, fmt.Sprintf("cmdstat_evalsha:calls=%d,", visits)) {
		t.Errorf("%d visits: commandstats (%v)\n%s\nwant %[1]d calls of evalsha", visits, err, stats)
	}
	for _, other := range []string{"cmdstat_eval:", "cmdstat_ping:", "cmdstat_get:"} {
		if strings.Contains(stats, other) {
			t.Errorf("commandstats has %s; a visit is one EVALSHA", other)
		}
	}
}

func TestWrkIsUnderstoodOrTheRunFails(t *testing.T) {
	for name, c := range map[string]struct {
		out string
		ok  bool
	}{
		"a good run":         {"Running\n  Requests/sec: 1\nmeasured 1000 3 250 900 2000000\n", true},
		"nothing served":     {"measured 0 0 0 0 2000000\n", false},
		"no line":            {"unable to connect\n", false},
		"a line of NaN":      {"measured nan 0 250 900 2000000\n", false},
		"a line that breaks": {"measured 1000 0", false},
	} {
		l, err := parseWrk(c.out)
		want := load{}
		if c.ok {
			want = load{requests: 1000, failed: 3, took: 2 * time.Second, p50: 250 * time.Microsecond, p99: 900 * time.Microsecond}
		}
		if l != want && c.ok || (err == nil) != c.ok {
			t.Errorf("%s: parseWrk = %+v, %v; want %+v, success %v", name, l, err, want, c.ok)
		}
	}
}
