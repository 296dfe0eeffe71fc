package terminal_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"visit-counter/internal/terminal"
)

func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	device, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0) // creates a terminal
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	tests := []struct {
		name     string
		out      io.Writer
		variable string
		want     bool
	}{
		{"terminal", device, "", true},
		{"terminal with NO_COLOR", device, "NO_COLOR=1", false},
		{"terminal without colours", device, "TERM=dumb", false},
		{"null device", null, "", false},
		{"file", file, "", false},
		{"anything else", new(strings.Builder), "", false},
	}
	for _, tt := range tests {
		getenv := func(name string) string {
			set, value, _ := strings.Cut(tt.variable, "=")
			return map[string]string{set: value}[name]
		}
		if got := terminal.Coloured(tt.out, getenv); got != tt.want {
			t.Errorf("%s: coloured is %t, want %t", tt.name, got, tt.want)
		}
	}
}
