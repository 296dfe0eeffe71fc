package app

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"

	"visit-counter/internal/config"
	"visit-counter/internal/terminal"
)

// gcPercent lets the heap, of which 2 MB live, grow to three times as much as by default before it is collected. More
// saves no more time, and would not stay below 40 MB under load. A memory limit still comes first.
const gcPercent = 300

// limitMemory sets how much memory the process may use. GOGC and GOMEMLIMIT in the environment win.
func limitMemory(cfg config.Config, getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if cfg.MemoryLimit > 0 {
		debug.SetMemoryLimit(cfg.MemoryLimit / 4 * 3) // Go does not count the rest, such as the 14 MB of the program
	}
}

// newLogger returns the process's log: text for people at a terminal, else JSON.
func newLogger(cfg config.Config, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && terminal.Is(out) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// warn logs the settings that were probably not meant.
func warn(log *slog.Logger, warnings []string) {
	for _, warning := range warnings {
		log.Warn("configuration", slog.String("warning", warning))
	}
}

// openPort listens on a port of all addresses.
func openPort(port int) (*net.TCPListener, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on PORT %d; is another program using it? (%w)", port, err)
	}
	return listener, nil
}
