package demo_test

import (
	"os"
	"strings"
	"testing"

	"visit-counter/internal/commands"
)

// TestMain makes the test binary the program where it is given a command, as a fleet does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(commands.Main())
	}
	os.Exit(m.Run())
}
