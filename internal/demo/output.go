package demo

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

const (
	nameWidth = 6
	mostLine  = 16 << 10 // bytes that are kept of a line without an end
)

// merger makes one log out of many: whole lines, each with the name of its source in front.
type merger struct {
	colour bool

	mu  sync.Mutex
	out io.Writer
}

func newMerger(out io.Writer, colour bool) *merger { return &merger{out: out, colour: colour} }

// source returns a writer for the lines of one source. It is safe for concurrent use, and its writes never fail.
func (m *merger) source(name string) io.Writer {
	prefix := fmt.Sprintf("%-*s | ", nameWidth, name)
	if m.colour {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colourOf(name), prefix)
	}
	return &source{merger: m, prefix: prefix}
}

// colourOf gives instances with neighbouring numbers different colours. Red is for nobody.
func colourOf(name string) int {
	colours := []int{36, 33, 35, 32, 34, 96, 93, 95, 92, 94}
	var n int
	if _, err := fmt.Sscanf(name, "web.%d", &n); err != nil || n < 1 {
		return 1 // bold: the fleet and the demo
	}
	return colours[(n-1)%len(colours)]
}

// source collects the lines of one source.
type source struct {
	merger *merger
	prefix string
	rest   []byte // of a line without an end; belongs to the merger's mutex
}

// Write passes on the lines that are complete.
func (s *source) Write(b []byte) (int, error) {
	s.merger.mu.Lock()
	defer s.merger.mu.Unlock()
	s.rest = append(s.rest, b...)
	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found && len(s.rest) < mostLine {
			return len(b), nil
		}
		if !routine(line) {
			fmt.Fprintf(s.merger.out, "%s%s\n", s.prefix, line)
		}
		s.rest = rest
	}
}

// routine reports whether a line is the balancer's question for an instance's health, of which there are several each second.
func routine(line []byte) bool { return bytes.Contains(line, []byte("route=/readyz ")) }
