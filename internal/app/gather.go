package app

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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

	held      atomic.Pointer[[]byte] // nil: nothing. Whoever takes it out writes it
	finishing sync.Mutex             // Close waits for it, but not for Write, which may take much longer
}

var gathered = sync.Pool{New: func() any { return new(make([]byte, 0, 2*fullBuffer)) }}

// Write writes p with what is held, or holds it.
func (g *gatherer) Write(p []byte) (int, error) {
	held := g.held.Swap(nil)
	switch {
	case held != nil:
		*held = append(*held, p...)
		if err := g.release(held); err != nil {
			return 0, err
		}
		return len(p), nil
	case len(p) == fullBuffer:
		held = gathered.Get().(*[]byte)
		*held = append((*held)[:0], p...)
		g.held.Store(held)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// release writes what was held.
func (g *gatherer) release(held *[]byte) error {
	_, err := g.Conn.Write(*held)
	gathered.Put(held)
	return err
}

// finish writes what is held, if anything: nothing more comes for now.
func (g *gatherer) finish() error {
	g.finishing.Lock()
	defer g.finishing.Unlock()
	held := g.held.Swap(nil)
	if held == nil {
		return nil
	}
	_ = g.SetWriteDeadline(time.Now().Add(releaseTime)) // without it, the write fails as well
	err := g.release(held)
	_ = g.SetWriteDeadline(time.Time{}) // as net/http has left it
	return err
}

// CloseWrite is what net/http closes a connection with when the client may still be sending.
func (g *gatherer) CloseWrite() error {
	err := g.finish()
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return errors.Join(err, half.CloseWrite())
	}
	return err
}

// Close cuts off a write under way, but not the end of an answer.
func (g *gatherer) Close() error {
	return errors.Join(g.finish(), g.Conn.Close())
}

// answered finishes the answer of a connection that has become idle.
func answered(conn net.Conn, state http.ConnState) {
	if g, ok := conn.(*gatherer); ok && state == http.StateIdle {
		if g.finish() != nil {
			_ = g.Close() // else the next answer would follow half of this one
		}
	}
}
