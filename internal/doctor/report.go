package doctor

import (
	"encoding/json"
	"fmt"
	"io"
)

// Status says how a check ended.
type Status string

// The ways in which a check ends.
const (
	Pass Status = "PASS" // as it should be, as far as this Redis reports it
	Warn Status = "WARN" // it works, but something may surprise
	Fail Status = "FAIL" // visits cannot be counted, or anyone can read them
)

// Line is one finding.
type Line struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Node    string `json:"node,omitempty"` // host and port, where there are several servers
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"` // what to do; never empty unless Pass
}

// Report holds all findings.
type Report struct {
	OK     bool   `json:"ok"` // nothing failed
	Passed int    `json:"passed"`
	Warned int    `json:"warned"`
	Failed int    `json:"failed"`
	Checks []Line `json:"checks"`
}

func (r *Report) add(l Line) {
	r.Checks = append(r.Checks, l)
	switch l.Status {
	case Pass:
		r.Passed++
	case Warn:
		r.Warned++
	case Fail:
		r.Failed++
	}
}

// finish ends the output and returns an error if something failed, the printing included.
func (r *Report) finish(out io.Writer, asJSON bool, printed error) error {
	r.OK = r.Failed == 0
	switch {
	case asJSON:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		printed = enc.Encode(r)
	case r.OK && printed == nil:
		_, printed = fmt.Fprintf(out, "\n%d passed, %d warned, none failed.\n", r.Passed, r.Warned)
	}
	if printed == nil && !r.OK {
		return fmt.Errorf("doctor: %d of %d checks failed", r.Failed, len(r.Checks))
	}
	return printed
}

// print prints the finding as text.
func (l Line) print(out io.Writer, coloured bool) error {
	status := string(l.Status)
	if coloured {
		colour := map[Status]string{Pass: "\x1b[32m", Warn: "\x1b[33m", Fail: "\x1b[1;31m"}[l.Status]
		status = colour + status + "\x1b[0m"
	}
	message := l.Message
	if l.Node != "" {
		message = l.Node + ": " + message
	}
	text := fmt.Sprintf("%s  %-13s  %s\n", status, l.Check, message)
	if l.Fix != "" {
		text += fmt.Sprintf("%21s→ %s\n", "", l.Fix)
	}
	_, err := io.WriteString(out, text)
	return err
}
