package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"visit-counter/internal/visitor"
)

// The outcomes of a check. A check that could not be run has not passed.
const (
	passed = "PASS"
	failed = "FAIL"
	notRun = "NOT RUN"
)

// measured describes the visits of a tally, given how many of them were counted.
func measured(tally *visitor.Tally, counted int) string {
	s := tally.Sum()
	text := fmt.Sprintf("%d sent, %d counted", s.Sent, counted)
	if s.Acknowledged < s.Sent {
		text += fmt.Sprintf("; %d without a count", s.Sent-s.Acknowledged)
	}
	var each []string
	for _, name := range slices.Sorted(maps.Keys(s.PerInstance)) {
		each = append(each, fmt.Sprintf("%s %d", name, s.PerInstance[name]))
	}
	if each != nil {
		text += "; " + strings.Join(each, ", ")
	}
	return text + fmt.Sprintf("; longest wait %d ms", s.Longest.Milliseconds())
}

// result is the outcome of one check.
type result struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // PASS, FAIL or NOT RUN
	Figures string `json:"figures,omitempty"`
	Reason  string `json:"reason,omitempty"` // unless the status is PASS
}

// writer writes a line for each check, or one JSON object at the end. Only a terminal shows the name of the running check.
type writer struct {
	json, live, colour bool
	out                io.Writer
	results            []result
}

const (
	statusColumn = len(notRun)
	nameColumn   = 38
	clearLine    = "\r\x1b[K"
)

// show shows the name of the running check until the next line.
func (w *writer) show(name string) {
	if w.live && !w.json {
		_, _ = fmt.Fprintf(w.out, "%s%*s  %s ...", clearLine, statusColumn, "", name)
	}
}

// line writes a line, unless the output is JSON.
func (w *writer) line(format string, args ...any) {
	if w.json {
		return
	}
	if w.live {
		_, _ = fmt.Fprint(w.out, clearLine)
	}
	_, _ = fmt.Fprintf(w.out, format+"\n", args...)
}

// result writes the line of a finished check, and the reason if it did not pass.
func (w *writer) result(status, name, figures string, reason error) {
	column := fmt.Sprintf("%-*s", statusColumn, status)
	if w.colour {
		colour := map[string]int{passed: 32, failed: 31, notRun: 33}[status]
		column = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, column)
	}
	w.line("%s  %-*s  %s", column, nameColumn, name, figures)
	r := result{Name: name, Status: status, Figures: figures}
	if reason != nil {
		w.line("%*s  %v", statusColumn, "", reason)
		r.Reason = reason.Error()
	}
	w.results = append(w.results, r)
}

// end writes the JSON object, if the output is JSON.
func (w *writer) end(passed bool) error {
	if !w.json {
		return nil
	}
	encoder := json.NewEncoder(w.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Passed bool     `json:"passed"`
		Checks []result `json:"checks"`
	}{passed, w.results})
}
