package app

import (
	"context"
	"io"
	"runtime/debug"
	"strconv"
	"testing"

	"visit-counter/internal/redistest"
)

// What the limit is on which platform is proven in internal/config.
func TestGoKnowsTheContainersMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	env := map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64m", "PORT": strconv.Itoa(redistest.ReservePort(t).Number)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it stops as soon as it serves
	if err := Serve(ctx, func(name string) string { return env[name] }, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != 64<<20/4*3 {
		t.Errorf("Go's limit is %d bytes, want three quarters of 64 MB", got)
	}
}
