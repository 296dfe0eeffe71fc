package main

import (
	"bytes"
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

// quick is a plan that is too short for meaningful figures.
func quick() plan { return plan{rounds: 1, length: 100 * time.Millisecond, visits: 500, resets: 20} }

func TestCountsHoldUnderLoad(t *testing.T) {
	var out bytes.Buffer
	b, err := newBench(t.Context(), quick())
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
		if !strings.Contains(out.String(), "| "+r.name+" |") {
			t.Errorf("%s is missing from the report", r.name)
		}
		if r.store == "redisstore" && (r.commands != 1 || r.lost != 0 || r.back != 0) {
			t.Errorf("%s: %d commands per visit, %d visits lost, %d sessions back after a reset; want 1, 0, 0",
				r.name, r.commands, r.lost, r.back)
		}
	}
	if b.binary == 0 || b.binary >= 16e6 {
		t.Errorf("the binary of visit-counter has %d bytes; want less than 16 MB", b.binary)
	}
	checkSessionsAreSmall(t, b.rdb)
}

func TestTheReportComparesStoredSessions(t *testing.T) {
	p := quick()
	p.stored = 5001 // more than one batch
	var out bytes.Buffer
	b, err := newBench(t.Context(), p)
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
		if !strings.Contains(out.String(), "| "+name+" |") {
			t.Errorf("%s is missing from the report:\n%s", name, out.String())
		}
	}
}

// checkSessionsAreSmall checks all sessions of the app, including those that 64 requests visited at once.
func checkSessionsAreSmall(t *testing.T, rdb *redis.Client) {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "visits:session:*").Result()
	if err != nil || len(keys) < sessionsPerRow {
		t.Fatalf("found %d sessions (%v), want at least %d", len(keys), err, sessionsPerRow)
	}
	for _, key := range keys {
		size, err := rdb.MemoryUsage(t.Context(), key).Result()
		if err != nil || size >= 400 {
			t.Errorf("a session of one process takes %d bytes (%v), want less than 400", size, err)
		}
		if encoding, err := rdb.ObjectEncoding(t.Context(), key).Result(); err != nil || encoding != "listpack" {
			t.Errorf("a session is a %s (%v), want a listpack", encoding, err)
		}
	}
}
