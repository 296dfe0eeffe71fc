package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"visit-counter/internal/fleet"
	"visit-counter/internal/proctest"
	"visit-counter/internal/visitor"
)

func TestEveryPromiseIsProven(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "prove")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("prove: %v\n%s", err, out)
	}
	if n := bytes.Count(out, []byte("\n"+passed)); n != len(checks()) {
		t.Errorf("%d of %d checks passed:\n%s", n, len(checks()), out)
	}
	if !regexp.MustCompile(`visits at once are exact +\d{4} sent, \d{4} counted`).Match(out) {
		t.Errorf("want at least 1000 visits at once:\n%s", out)
	}
}

func TestACheckThatCannotRunDoesNotPass(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no redis-server there
	f := start(t, fleet.Options{})
	var out proctest.Output
	tr := &trial{writer: &writer{out: &out}, fleet: f, url: f.URL(), instances: 1}
	for _, c := range checks() {
		if c.server && tr.run(t.Context(), c) {
			t.Errorf("%s passed without a redis-server", c.name)
		}
	}
	if output := out.String(); strings.Count(output, notRun) != 2 || strings.Count(output, "apt-get install redis-server") != 2 {
		t.Errorf("want NOT RUN and how to install redis-server, twice:\n%s", output)
	}
}

// imitation is an app that looks like this one from outside. Its store may be broken.
type imitation struct {
	lossy bool // read, add, write: concurrent visits overwrite each other
	busy  int  // how many visits it still refuses, in sessions with more than 40

	mu       sync.Mutex
	sessions map[string]int
	created  int

	requests, active, peak atomic.Int64 // requests in total, requests under way, and the maximum of those
}

func (a *imitation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	active := a.active.Add(1)
	defer a.active.Add(-1)
	for peak := a.peak.Load(); active > peak && !a.peak.CompareAndSwap(peak, active); peak = a.peak.Load() {
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
	if a.lossy { // another visit may read in between
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

// proveImitation runs prove against an imitation.
func proveImitation(t *testing.T, a *imitation, args ...string) (status int, output string) {
	a.sessions = make(map[string]int)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return command(t, Prove(environment()), append([]string{"--url", server.URL + "/"}, args...)...)
}

func TestAnAppIsProvenFromOutsideWithinLimits(t *testing.T) {
	var app imitation
	status, output := proveImitation(t, &app)
	if status != 0 || strings.Count(output, passed) != 6 || !strings.Contains(output, "All 6 checks passed") {
		t.Errorf("status %d, want 0 and six passed checks:\n%s", status, output)
	}
	if n := app.requests.Load(); n > maxRequests {
		t.Errorf("%d requests, want at most %d", n, maxRequests)
	}
	if n := app.peak.Load(); n > maxConnections {
		t.Errorf("%d requests at once, want at most %d", n, maxConnections)
	}
}

func TestAStoreThatReadsAddsAndWritesIsFoundOut(t *testing.T) {
	status, output := proveImitation(t, &imitation{lossy: true})
	if status != 1 || !strings.Contains(output, "FAIL     visits at once are exact") || !strings.Contains(output, "100 visits were sent and 100 acknowledged, but ") {
		t.Errorf("status %d, want 1 and the check that fails:\n%s", status, output)
	}
	if !strings.Contains(output, "1 of 6 checks failed or could not be run") {
		t.Errorf("want the number of failed checks:\n%s", output)
	}
}

func TestVisitsThatABusyAppRefusesAreSentAgain(t *testing.T) {
	status, output := proveImitation(t, &imitation{busy: 10})
	if status != 0 || !strings.Contains(output, "110 sent, 100 counted; 10 without a count") {
		t.Errorf("status %d, want 0, with 100 of 110 visits counted:\n%s", status, output)
	}
}

func TestAProgramThatDiesAtOnceOnSIGTERMFailsARollingRestart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\n"+os.Args[0]+" serve & pid=$!\n"+
		"trap 'kill -9 $pid; exit 0' TERM\nwait $pid\n"), 0o700))
	f := start(t, fleet.Options{Program: program, Instances: 4})
	must(t, f.Ready(t.Context()))
	tr := &trial{fleet: f, url: f.URL(), instances: 4}
	if figures, err := rollingRestart(t.Context(), tr); err == nil || !strings.Contains(err.Error(), "visits were not acknowledged") {
		t.Errorf("%s: %v; want the number of visits without an acknowledgement", figures, err)
	}
}

func TestTheRequiredInstancesMustAnswer(t *testing.T) {
	status, output := proveImitation(t, new(imitation), "--instances", "2")
	if status != 1 || !strings.Contains(output, "1 of 2 instances served") {
		t.Errorf("status %d, want 1 and how many served:\n%s", status, output)
	}
}

func TestTheLimitOfRequestsIsNeverExceeded(t *testing.T) {
	var app imitation
	server := httptest.NewServer(&app)
	defer server.Close()
	v := visitor.New(server.URL, limitedTransport())
	var failed error
	for range maxRequests + 1 {
		_, failed = v.Request(t.Context(), http.MethodGet, "/healthz")
	}
	if failed == nil || app.requests.Load() != maxRequests {
		t.Errorf("%d requests arrived and the last one returned %v, want %d and an error", app.requests.Load(), failed, maxRequests)
	}
}

func TestThePasswordOfTheAddressIsNotShown(t *testing.T) {
	status, output := command(t, Prove(environment()), "--url", "http://user:password@127.0.0.1:1")
	if status != 1 || !strings.Contains(output, "user:xxxxx@") || strings.Contains(output, "password") {
		t.Errorf("status %d, want 1 and the address without its password:\n%s", status, output)
	}
}

func TestJSONReportsEachCheck(t *testing.T) {
	app := imitation{sessions: make(map[string]int), lossy: true}
	server := httptest.NewServer(&app)
	defer server.Close()
	status, output := command(t, Prove(environment()), "--json", "--url", strings.Replace(server.URL, "//", "//user:password@", 1))
	if status == 0 {
		t.Error("an app that loses visits passes")
	}
	text, _, _ := strings.Cut(output, "\n}") // the error follows it
	var report struct {
		Passed bool
		Checks []result
	}
	must(t, json.Unmarshal([]byte(text+"\n}"), &report))
	outcome := make(map[string]int)
	for _, check := range report.Checks {
		outcome[check.Status]++
		if (check.Status == passed) != (check.Reason == "") {
			t.Errorf("%+v: want a reason if, and only if, the check did not pass", check)
		}
	}
	if report.Passed || outcome[passed] == 0 || outcome[failed] == 0 || report.Checks[0].Figures == "" {
		t.Errorf("want a failed report, with failed and passed checks and figures:\n%s", output)
	}
	if strings.Contains(output, "password") {
		t.Errorf("the password of the address is in the report:\n%s", output)
	}
}

func TestAProofThatIsInterruptedProvesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out proctest.Output
	err := prove(ctx, proveOptions{instances: 1, url: "http://127.0.0.1:1"}, &writer{out: &out})
	if err == nil || strings.Contains(out.String(), passed) {
		t.Errorf("err = %v, output %q; want an error and no passed check", err, out.String())
	}
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	var file, screen proctest.Output
	(&writer{out: &file}).show("start over")
	(&writer{out: &screen, live: true}).show("start over")
	if file.String() != "" || !strings.Contains(screen.String(), "start over") {
		t.Errorf("in a file %q, on a terminal %q", file.String(), screen.String())
	}
}
