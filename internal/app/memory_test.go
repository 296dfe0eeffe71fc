package app

import (
	"context"
	"io"
	"runtime/debug"
	"strconv"
	"testing"

	"visit-counter/internal/redistest"
)

// The tests of internal/config prove the limit on each platform.
func TestServeLimitsGosMemoryToTheContainers(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	env := map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64m", "PORT": strconv.Itoa(redistest.ReservePort(t).Number)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that Serve stops as soon as it serves
	if err := Serve(ctx, func(name string) string { return env[name] }, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != 64<<20/4*3 {
		t.Errorf("Go's limit is %d bytes, want three quarters of 64 MB", got)
	}
}
