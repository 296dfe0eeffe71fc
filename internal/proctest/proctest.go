// Package proctest is for tests that start processes: it collects what they print, and finds what is left of them.
package proctest

import (
	"bytes"
	"sync"
)

// Output collects what is written to it, while a test reads it. It is safe for concurrent use. The zero value is empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p and never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
