// Package fleettest gives tests of a fleet the real program to run, and a place for what it says.
package fleettest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/fleet"
)

const (
	programVariable = "FLEETTEST_PROGRAM"
	buildTime       = 5 * time.Minute // a first build compiles every dependency
)

// Main runs the tests of a package, for its TestMain, and ends the process. It builds the program first, once, without
// the race detector: what is timed should be what people run. A fleet in a test uses the test binary as its janitor.
func Main(m *testing.M) {
	if slices.Contains(os.Args, fleet.JanitorCommand) {
		exit(0, fleet.Janitor(os.Stdin, os.Stdout))
	}
	dir, err := os.MkdirTemp("", "fleettest-")
	if err != nil {
		exit(1, err)
	}
	program := filepath.Join(dir, "visit-counter")
	status := 1
	if err = build(program); err == nil {
		if err = os.Setenv(programVariable, program); err == nil {
			status = m.Run()
		}
	}
	if failed := os.RemoveAll(dir); err == nil {
		err = failed
	}
	exit(status, err)
}

func build(program string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "visit-counter").CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

func exit(status int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// Program returns the path of the program that Main built.
func Program(t testing.TB) string {
	t.Helper()
	path := os.Getenv(programVariable)
	if path == "" {
		t.Fatal("TestMain of this package does not call fleettest.Main")
	}
	return path
}

// Start runs a fleet of the program for the test, which ends it.
func Start(t testing.TB, o fleet.Options) *fleet.Fleet {
	t.Helper()
	o.Program = Program(t)
	f, err := fleet.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start a fleet: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close the fleet: %v", err)
		}
	})
	return f
}

// Buffer is a bytes.Buffer that a fleet may write to while a test reads it. The zero value is ready for use.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p and never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what has been written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
