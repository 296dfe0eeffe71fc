package doctor

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestLinesArePrintedAsText(t *testing.T) {
	lines := []Line{
		{Check: "role", Status: Pass, Message: "master"},
		{Check: "memory", Status: Warn, Node: "127.0.0.1:7000", Message: "nearly full", Fix: "more"},
		{Check: "configuration", Status: Fail, Message: "PORT: wrong", Fix: "correct it"},
	}
	const plain = `PASS  role           master
WARN  memory         127.0.0.1:7000: nearly full
                     → more
FAIL  configuration  PORT: wrong
                     → correct it
`
	colours := strings.NewReplacer("PASS", "\x1b[32mPASS\x1b[0m", "WARN", "\x1b[33mWARN\x1b[0m", "FAIL", "\x1b[1;31mFAIL\x1b[0m")
	for coloured, want := range map[bool]string{false: plain, true: colours.Replace(plain)} {
		var out strings.Builder
		for _, l := range lines {
			must(t, l.print(&out, coloured))
		}
		if out.String() != want {
			t.Errorf("coloured %t: %q, want %q", coloured, out.String(), want)
		}
	}
}

func TestReportEndsWithTheTotals(t *testing.T) {
	report, out := new(Report), new(strings.Builder)
	report.add(Line{Status: Pass})
	report.add(Line{Status: Warn, Fix: "x"})
	if err := report.finish(out, false, nil); err != nil || out.String() != "\n1 passed, 1 warned, none failed.\n" {
		t.Errorf("finish: %v, %q", err, out)
	}
	report.add(Line{Status: Fail, Fix: "x"})
	if err := report.finish(out, false, nil); err == nil || err.Error() != "doctor: 1 of 3 checks failed" {
		t.Errorf("finish with a failure: %v", err)
	}
	if err := new(Report).finish(out, false, io.ErrClosedPipe); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("finish after a broken pipe: %v", err)
	}
}
