package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"visit-counter/internal/visitor"
)

// The outcomes of a check. A check that could not be run has not passed.
const (
	passed = "PASS"
	failed = "FAIL"
	notRun = "NOT RUN"
)

// figures are what a check measured. Zero fields do not belong to it.
type figures struct {
	Sent        int            `json:"sent,omitempty"`
	Answered    int            `json:"answered,omitempty"`
	Counted     int            `json:"counted,omitempty"`
	PerInstance map[string]int `json:"per_instance,omitempty"`
	LongestWait float64        `json:"longest_wait_ms,omitempty"`
	Recovery    float64        `json:"recovery_ms,omitempty"`
	Note        string         `json:"note,omitempty"`
}

// measured returns the figures of a tally of which so many visits were counted.
func measured(tally *visitor.Tally, counted int) figures {
	s := tally.Sum()
	return figures{
		Sent: s.Sent, Answered: s.Acknowledged, Counted: counted, PerInstance: s.PerInstance, LongestWait: milliseconds(s.Longest),
	}
}

// milliseconds returns d with one digit after the point.
func milliseconds(d time.Duration) float64 { return float64(d.Round(100*time.Microsecond)) / 1e6 }

// String returns the figures in words.
func (f figures) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if f.Sent > 0 {
		add("%d sent, %d counted", f.Sent, f.Counted)
		if f.Answered > 0 && f.Answered < f.Sent {
			add("%d without a count", f.Sent-f.Answered)
		}
	}
	if len(f.PerInstance) > 0 {
		var each []string
		for _, name := range slices.Sorted(maps.Keys(f.PerInstance)) {
			each = append(each, fmt.Sprintf("%s %d", name, f.PerInstance[name]))
		}
		add("%s", strings.Join(each, ", "))
	}
	if f.LongestWait > 0 {
		add("longest wait %.0f ms", f.LongestWait)
	}
	if f.Recovery > 0 {
		add("back after %.0f ms", f.Recovery)
	}
	if f.Note != "" {
		add("%s", f.Note)
	}
	return strings.Join(parts, "; ")
}

// result is the outcome of one check.
type result struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"`
	Reason  string  `json:"reason,omitempty"` // of anything but PASS
	Seconds float64 `json:"seconds"`
	figures
}

// report is the outcome of all.
type report struct {
	Passed  bool     `json:"passed"`
	URL     string   `json:"url"`
	Store   string   `json:"store,omitempty"`
	Seconds float64  `json:"seconds"`
	Checks  []result `json:"checks"`
}

// err returns nil if every check has passed, else how many have not. The reasons have been written.
func (r report) err() error {
	counts := map[string]int{}
	for _, c := range r.Checks {
		counts[c.Status]++
	}
	var parts []string
	if n := counts[failed]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	if n := counts[notRun]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d could not be run", n))
	}
	if parts == nil {
		return nil
	}
	return fmt.Errorf("not all is proven: of %d checks, %s", len(r.Checks), strings.Join(parts, " and "))
}

// writer writes a line for each check, or one JSON document at the end. Only a terminal shows the name of the running check.
type writer struct {
	json, live, colour bool
	out                io.Writer
}

const (
	statusColumn = len(notRun)
	nameColumn   = 38
	clearLine    = "\r\x1b[K"
)

// begin shows the name of the running check until the next line.
func (w *writer) begin(name string) {
	if w.live && !w.json {
		_, _ = fmt.Fprintf(w.out, "%s%*s  %s ...", clearLine, statusColumn, "", name)
	}
}

// line writes a line.
func (w *writer) line(format string, args ...any) {
	if w.json {
		return
	}
	if w.live {
		_, _ = fmt.Fprint(w.out, clearLine)
	}
	_, _ = fmt.Fprintf(w.out, format+"\n", args...)
}

// result writes the line of a check that has ended.
func (w *writer) result(r result) {
	status := fmt.Sprintf("%-*s", statusColumn, r.Status)
	if w.colour {
		colour := map[string]int{passed: 32, failed: 31, notRun: 33}[r.Status]
		status = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, status)
	}
	w.line("%s  %-*s  %s", status, nameColumn, r.Name, r.figures)
	if r.Reason != "" {
		w.line("%*s  %s", statusColumn, "", r.Reason)
	}
}

// end writes the summary.
func (w *writer) end(r report) error {
	if w.json {
		encoder := json.NewEncoder(w.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	if r.Passed {
		w.line("All %d checks passed in %.0f s.", len(r.Checks), r.Seconds)
	}
	return nil
}
