package redistest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection through a Proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	done           chan struct{} // closed by close
	closing        sync.Once
	stream         atomic.Bool // no longer commands and replies: bytes are passed on as they come
	damaged        bool        // something vanished; guarded by proxy.mu

	mu      sync.Mutex // held to write to the client
	pending []fate     // of commands that were not answered yet, in order
}

func newLink(p *Proxy, client, server net.Conn) *link {
	return &link{proxy: p, client: client, server: server, done: make(chan struct{})}
}

// close ends the connection on both sides. It may be called more than once.
func (l *link) close() {
	l.closing.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// run passes bytes on until either side or the proxy closes the connection.
func (l *link) run() {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer l.close()
		l.passRequests()
	})
	l.passReplies()
	l.close()
	wg.Wait()
}

func (l *link) passRequests() {
	r := bufio.NewReader(l.client)
	for !l.stream.Load() {
		args, raw, err := readRequest(r)
		if errors.Is(err, errNotRESP) {
			l.stream.Store(true)
		} else if err != nil {
			return
		}
		if !l.request(args, raw) {
			return
		}
	}
	l.pass(l.server, r, requestsVanish)
}

// request passes one command on, or does with it what the faults say. It returns false at the end of the
// connection.
func (l *link) request(args []string, raw []byte) bool {
	var f fate
	if len(args) > 0 {
		f = l.proxy.judge(l, args)
		if f.kind == lost {
			return true
		}
		if startsStream(args[0]) {
			l.stream.Store(true)
		}
		if !l.expect(f) {
			return false
		}
	}
	if f.kind == answered {
		return true
	}
	_, err := l.server.Write(raw)
	return err == nil
}

// startsStream reports whether a command turns the connection into a stream.
func startsStream(name string) bool {
	switch strings.ToUpper(name) {
	case "PSYNC", "SYNC", "MONITOR":
		return true
	}
	return false
}

// expect notes a command that is to be answered, and answers it at once if that is the proxy's part and its
// turn has come.
func (l *link) expect(f fate) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, f)
	return l.answerDue()
}

// answerDue sends the proxy's own answers whose turn it is. l.mu is held.
func (l *link) answerDue() bool {
	for len(l.pending) > 0 && l.pending[0].kind == answered {
		answer := l.pending[0].answer
		l.pending = l.pending[1:]
		if !l.send([]byte(answer + "\r\n")) {
			return false
		}
	}
	return true
}

// send writes to the client, unless replies vanish. l.mu is held.
func (l *link) send(raw []byte) bool {
	if l.proxy.vanishes(l, repliesVanish) {
		return true
	}
	_, err := l.client.Write(raw)
	return err == nil
}

func (l *link) passReplies() {
	r := bufio.NewReader(l.server)
	for {
		fresh := r.Buffered() == 0
		if _, err := r.Peek(1); err != nil {
			return
		}
		if l.stream.Load() {
			l.pass(l.client, r, repliesVanish)
			return
		}
		raw, err := readReply(r)
		if err != nil || fresh && !l.delay() || !l.reply(raw) {
			return
		}
	}
}

// reply does with one reply what was decided when its command was sent. It returns false at the end of the
// connection.
func (l *link) reply(raw []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f fate
	if isPush := raw[0] == '>'; !isPush && len(l.pending) > 0 {
		f, l.pending = l.pending[0], l.pending[1:]
	}
	if f.kind == replyDropped || f.kind == passed && !l.send(raw) {
		return false
	}
	return l.answerDue()
}

// delay waits as long as the fault says, but not longer than it lasts. It returns false at the end of the
// connection.
func (l *link) delay() bool {
	d, healed := l.proxy.delay()
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-healed:
		return true
	case <-l.done:
		return false
	}
}

// pass copies bytes until the end of the connection, except while they vanish.
func (l *link) pass(to io.Writer, from io.Reader, vanish func(faults) bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if l.proxy.vanishes(l, vanish) {
			continue
		}
		if to == l.client && !l.delay() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
