package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// transcript merges several logs, and prefixes each line with the name of its source. It is safe for concurrent use.
type transcript struct {
	colour bool

	mu  sync.Mutex
	out io.Writer
}

// line writes a line of a source. It drops the lines about the fleet's health checks: there are several each second.
func (t *transcript) line(name, text string) {
	if strings.Contains(text, "route=/readyz ") {
		return
	}
	prefix := fmt.Sprintf("%-6s | ", name)
	if t.colour {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colourOf(name), prefix)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintln(t.out, prefix+text)
}

// say writes one of the demo's own lines.
func (t *transcript) say(format string, args ...any) { t.line("demo", fmt.Sprintf(format, args...)) }

// colourOf gives instances with neighbouring numbers different colours. Red is reserved for errors.
func colourOf(name string) int {
	colours := []int{36, 33, 35, 32, 34, 96, 93, 95, 92, 94}
	var n int
	if _, err := fmt.Sscanf(name, "web.%d", &n); err != nil || n < 1 {
		return 1 // bold: the fleet and the demo
	}
	return colours[(n-1)%len(colours)]
}
