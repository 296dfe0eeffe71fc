// Package proctest helps tests that start processes: it collects their output, and finds processes and files they leave.
package proctest

import (
	"bytes"
	"sync"
)

// Output collects what is written to it. It is safe for concurrent use. The zero value is empty and ready for use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p. It never fails.
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
