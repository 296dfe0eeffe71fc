package main

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// fullBuffer is the size of the buffer through which net/http writes. A write of just this size is the start of an
	// answer that did not fit in, and the rest of it follows.
	fullBuffer = 4 << 10
	// releaseTime is how long the end of an answer may take that had no rest.
	releaseTime = time.Second
)

// gatherer is a connection that holds a full buffer back until the rest of the answer comes, and sends both at once. The
// page is a little longer than net/http's buffer, whose size cannot be changed: this saves every visit a system call
// and the browser a wait for the second packet.
//
// An answer that fills the buffer exactly has no rest: whoever knows that it is complete, calls finish.
type gatherer struct {
	net.Conn

	mu   sync.Mutex
	held *[]byte // nil: nothing
}

var gathered = sync.Pool{New: func() any { return new(make([]byte, 0, 2*fullBuffer)) }}

// Write writes p with what is held, or holds it.
func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.held != nil:
		*g.held = append(*g.held, p...)
		return len(p), g.release()
	case len(p) == fullBuffer:
		g.held = gathered.Get().(*[]byte)
		*g.held = append((*g.held)[:0], p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// release writes what is held.
func (g *gatherer) release() error {
	_, err := g.Conn.Write(*g.held)
	gathered.Put(g.held)
	g.held = nil
	return err
}

// finish writes what is held, if anything: nothing more comes for now.
func (g *gatherer) finish() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.finishLocked()
}

func (g *gatherer) finishLocked() error {
	if g.held == nil {
		return nil
	}
	_ = g.SetWriteDeadline(time.Now().Add(releaseTime)) // without it, the write fails as well
	return g.release()
}

// CloseWrite is what net/http closes a connection with when the client may still be sending.
func (g *gatherer) CloseWrite() error {
	err := g.finish()
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return errors.Join(err, half.CloseWrite())
	}
	return err
}

// Close cuts off a write under way.
func (g *gatherer) Close() error {
	var err error
	if g.mu.TryLock() {
		err = g.finishLocked()
		g.mu.Unlock()
	}
	return errors.Join(err, g.Conn.Close())
}

// answered finishes the answer of a connection that has become idle.
func answered(conn net.Conn, state http.ConnState) {
	if g, ok := conn.(*gatherer); ok && state == http.StateIdle {
		_ = g.finish() // net/http notices a broken connection at its next read
	}
}
