package demo_test

import (
	"os"
	"strings"
	"testing"

	"visit-counter/internal/commands"
)

// TestMain lets the test binary act as the program if its first argument is a command: that is how a fleet runs it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(commands.Main())
	}
	os.Exit(m.Run())
}
