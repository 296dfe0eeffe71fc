package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/fleet"
	"visit-counter/internal/visitor"
)

func TestEveryPromiseIsProven(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "prove", "--json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("prove: %v\n%s", err, out)
	}
	var r report
	must(t, json.Unmarshal(out, &r))
	if !r.Passed || len(r.Checks) != len(checks()) {
		t.Errorf("passed: %v, with %d of %d checks", r.Passed, len(r.Checks), len(checks()))
	}
	for _, c := range r.Checks {
		if c.Name == "visits at once are exact" && (c.Answered != 1000 || c.Counted < 1000 || c.Counted > c.Sent) {
			t.Errorf("%s: %d sent, %d acknowledged, %d counted; want 1000 acknowledged", c.Name, c.Sent, c.Answered, c.Counted)
		}
	}
}

func TestWhatCannotBeRunIsNoSuccess(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no redis-server there
	f := start(t, fleet.Options{})
	var out buffer
	tr := &trial{writer: &writer{out: &out}, fleet: f, url: f.URL(), instances: 1}
	r := report{}
	for _, c := range checks() {
		if c.server {
			r.Checks = append(r.Checks, tr.run(t.Context(), c))
		}
	}
	for _, c := range r.Checks {
		if c.Status != notRun || !strings.Contains(c.Reason, "apt-get install redis-server") {
			t.Errorf("%s: %s, %q; want NOT RUN and how to install", c.Name, c.Status, c.Reason)
		}
	}
	if err := r.err(); len(r.Checks) != 2 || err == nil || !strings.Contains(err.Error(), "2 could not be run") {
		t.Errorf("%d checks, %v; want 2 that could not be run", len(r.Checks), err)
	}
}

// imitation is an app that looks like ours from outside. Its store may be a bad one.
type imitation struct {
	lossy bool // it reads, adds and writes, so that visits at once overwrite each other
	busy  int  // so many visits are refused, in a session that has had 40

	mu       sync.Mutex
	sessions map[string]int
	created  int

	requests, under, most atomic.Int64 // requests in all, at present, and at once at most
}

func (a *imitation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	now := a.under.Add(1)
	defer a.under.Add(-1)
	for most := a.most.Load(); now > most && !a.most.CompareAndSwap(most, now); most = a.most.Load() {
	}
	id := ""
	if c, err := r.Cookie("session"); err == nil {
		id = c.Value
	}
	switch {
	case r.URL.Path == "/reset":
		a.mu.Lock()
		delete(a.sessions, id)
		a.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case r.URL.Path != "/" || r.Method != http.MethodGet || r.Header.Get("Sec-Purpose") != "":
		w.WriteHeader(http.StatusNoContent)
	default:
		a.visit(w, id)
	}
}

func (a *imitation) visit(w http.ResponseWriter, id string) {
	a.mu.Lock()
	n, known := a.sessions[id]
	if n > 40 && a.busy > 0 {
		a.busy--
		a.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !known {
		a.created++
		id = fmt.Sprintf("session-number-%d", a.created)
	}
	n++
	if a.lossy { // somebody else reads before it writes
		a.mu.Unlock()
		<-time.After(2 * time.Millisecond)
		a.mu.Lock()
	}
	a.sessions[id] = n
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: id, Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	_ = json.NewEncoder(w).Encode(map[string]any{
		"visits": n, "instance": "web.1", "processes": []map[string]any{{"instance": "web.1", "visits": n, "current": true}},
	})
}

// proveImitation proves an imitation from outside.
func proveImitation(t *testing.T, a *imitation, args ...string) (status int, said string) {
	a.sessions = make(map[string]int)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return command(t, Prove(environment()), append([]string{"--url", server.URL + "/"}, args...)...)
}

func TestAnAppIsProvenFromOutsideWithinLimits(t *testing.T) {
	var app imitation
	status, said := proveImitation(t, &app)
	if status != 0 || strings.Count(said, passed) != 6 || !strings.Contains(said, "All 6 checks passed") {
		t.Errorf("status %d, want 0 and six checks:\n%s", status, said)
	}
	if n := app.requests.Load(); n > maxRequests {
		t.Errorf("%d requests, want %d at most", n, maxRequests)
	}
	if n := app.most.Load(); n > maxConnections {
		t.Errorf("%d requests at once, want %d at most", n, maxConnections)
	}
}

func TestAStoreThatReadsAddsAndWritesIsFoundOut(t *testing.T) {
	status, said := proveImitation(t, &imitation{lossy: true})
	if status != 1 || !strings.Contains(said, "FAIL     visits at once are exact") || !strings.Contains(said, "100 visits were sent and 100 acknowledged, but ") {
		t.Errorf("status %d, want 1 and where it fails:\n%s", status, said)
	}
	if !strings.Contains(said, "not all is proven: of 6 checks, 1 failed") {
		t.Errorf("want the sum:\n%s", said)
	}
}

func TestVisitsThatABusyAppRefusesAreSentAgain(t *testing.T) {
	status, said := proveImitation(t, &imitation{busy: 10})
	if status != 0 || !strings.Contains(said, "110 sent, 100 counted; 10 without a count") {
		t.Errorf("status %d, want 0, with 100 of 110 visits counted:\n%s", status, said)
	}
}

func TestAProgramThatDiesAtOnceOnSIGTERMIsFoundOut(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\n"+os.Args[0]+" serve & pid=$!\n"+
		"trap 'kill -9 $pid; exit 0' TERM\nwait $pid\n"), 0o700))
	f := start(t, fleet.Options{Program: program, Instances: 4})
	tr := &trial{writer: &writer{out: io.Discard}, fleet: f, url: f.URL(), instances: 4}
	for _, c := range checks() {
		if c.name != "rolling restart under load" {
			continue
		}
		if r := tr.run(t.Context(), c); r.Status != failed || !strings.Contains(r.Reason, "visits were not acknowledged") {
			t.Errorf("%s: %s %q, %v; want FAIL and how many visits were not acknowledged", c.name, r.Status, r.Reason, r.figures)
		}
	}
}

func TestInstancesThatAreDemandedMustBeSeen(t *testing.T) {
	status, said := proveImitation(t, new(imitation), "--instances", "2")
	if status != 1 || !strings.Contains(said, "1 of 2 instances served") {
		t.Errorf("status %d, want 1 and how many served:\n%s", status, said)
	}
}

func TestNoMoreThanTheMaximumOfRequestsLeaves(t *testing.T) {
	var app imitation
	server := httptest.NewServer(&app)
	defer server.Close()
	v := visitor.New(server.URL, limitedTransport())
	var failed error
	for range maxRequests + 1 {
		_, failed = v.Request(t.Context(), http.MethodGet, "/healthz")
	}
	if failed == nil || app.requests.Load() != maxRequests {
		t.Errorf("%d requests arrived and the last one said %v, want %d and an error", app.requests.Load(), failed, maxRequests)
	}
}

func TestJSONHoldsTheFiguresAndNothingElseIsWritten(t *testing.T) {
	app := imitation{sessions: make(map[string]int)}
	server := httptest.NewServer(&app)
	defer server.Close()
	status, said := command(t, Prove(environment()), "--json", "--url", strings.Replace(server.URL, "//", "//user:password@", 1))
	var r report
	must(t, json.Unmarshal([]byte(said), &r))
	if status != 0 {
		t.Errorf("status %d, want 0", status)
	}
	if !r.Passed || len(r.Checks) != 6 || r.Checks[0].Sent != 10 || r.Checks[0].PerInstance["web.1"] != 10 {
		t.Errorf("the report is %+v", r)
	}
	if strings.Contains(said, "password") {
		t.Errorf("the password of the address is in the report:\n%s", said)
	}
}

func TestAProofThatIsInterruptedProvesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out buffer
	err := prove(ctx, proveOptions{instances: 1, url: "http://127.0.0.1:1"}, &writer{out: &out})
	if err == nil || strings.Contains(out.String(), passed) {
		t.Errorf("err = %v, said %q; want an error and no check passed", err, out.String())
	}
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	var file, screen buffer
	(&writer{out: &file}).begin("start over")
	(&writer{out: &screen, live: true}).begin("start over")
	if file.String() != "" || !strings.Contains(screen.String(), "start over") {
		t.Errorf("in a file %q, on a terminal %q", file.String(), screen.String())
	}
}
