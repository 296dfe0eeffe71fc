package redistest

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/proto"
)

const (
	dialTimeout = time.Second // from the proxy to its target
	bufferSize  = 64 << 10    // holds a complete batch, so that the proxy knows which commands arrived together
)

// Proxy is a TCP proxy on 127.0.0.1 in front of one server that injects network faults. It starts healthy, and has one
// fault at a time until Heal ends it. While the target is down it accepts connections and closes them.
//
// On each connection it forwards one command after the other, even if a client sends many at once. It supports the
// protocol of clients, including RESP3, but not TLS, MONITOR, subscriptions or replication. All methods are safe for
// concurrent use.
type Proxy struct {
	t       testing.TB
	target  Target
	addr    string
	running sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	closed   bool
	links    map[*link]struct{}
	fault    fault
	healed   chan struct{}  // closed by Heal
	seen     map[string]int // by upper-case name
	affected int
}

// fault says which commands have which fate.
type fault struct {
	left  int // how many more commands; negative: all
	match Match
	fate  Fate
}

// link is one connection through a Proxy.
type link struct {
	client, server net.Conn
	replies        chan string // closed when the server closes the connection
	lost, mute     bool        // nothing more reaches the server, or the client
}

// NewProxy starts a proxy in front of target. It ends with the test.
func NewProxy(t testing.TB, target Target) *Proxy {
	t.Helper()
	p := &Proxy{
		t:      t,
		target: target,
		addr:   ReservePort(t).Addr(),
		links:  map[*link]struct{}{},
		healed: make(chan struct{}),
		seen:   map[string]int{},
	}
	p.Heal()
	t.Cleanup(p.close)
	return p
}

// Addr returns the proxy's host and port, which never change.
func (p *Proxy) Addr() string { return p.addr }

// URL returns the target's URL with the proxy's address in it.
func (p *Proxy) URL() string { return strings.Replace(p.target.URL(), p.target.Addr(), p.addr, 1) }

// All gives all matching commands a fate. It replaces the previous fault.
func (p *Proxy) All(match Match, fate Fate) { p.Next(-1, match, fate) }

// Next gives the next n matching commands a fate. It replaces the previous fault.
func (p *Proxy) Next(n int, match Match, fate Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault{left: n, match: match, fate: fate}
}

// Refuse closes all open connections, and makes the kernel refuse new ones, as if nothing listened there.
func (p *Proxy) Refuse() {
	defer p.Cut() // after the unlock
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Cut closes all open connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// Heal ends the fault and all delays at once. When it returns, the proxy accepts new connections. It closes connections on
// which something was lost, because the client would take a later answer for the one that it missed.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault{}
	close(p.healed)
	p.healed = make(chan struct{})
	for l := range p.links {
		if l.lost || l.mute {
			l.close()
		}
	}
	if p.listener == nil && !p.closed {
		p.listen()
	}
}

// Seen returns how many commands with these names clients have sent; without names, how many in total. It does not count
// commands that arrived after one that was cut.
func (p *Proxy) Seen(names ...string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for name, count := range p.seen {
		if len(names) == 0 || Named(names...)([]string{name}) {
			n += count
		}
	}
	return n
}

// Affected returns how many commands the faults have hit, so that a test can check that its fault happened. A command that
// the server executes is counted after its execution.
func (p *Proxy) Affected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.affected
}

// listen accepts connections. p.mu is held.
func (p *Proxy) listen() {
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Errorf("proxy: %v", err)
		return
	}
	p.listener = listener
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed by Refuse
			}
			p.running.Go(func() { p.connect(client) })
		}
	})
}

// connect connects a client to the target until either side, or the proxy, closes the connection.
func (p *Proxy) connect(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target.Addr(), dialTimeout)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, replies: make(chan string)}
	p.running.Go(l.readReplies)
	if p.add(l) {
		p.serve(l)
		p.remove(l)
	}
	l.close()
	l.drain()
}

// add reports whether the connection may begin.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.links[l] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// serve passes one command after the other, and its answer.
func (p *Proxy) serve(l *link) {
	requests := bufio.NewReaderSize(l.client, bufferSize)
	delayed := false
	for {
		delayed = delayed && requests.Buffered() > 0 // the next command came with the one that was delayed
		request, err := proto.Read(requests)
		if err != nil {
			return
		}
		args, err := proto.ReadStrings(request)
		if err != nil || len(args) == 0 {
			return
		}
		fate, healed := p.judge(l, args)
		reply := fate.Answer + "\r\n"
		if fate.Answer == "" && !l.lost {
			if fate.Cut {
				rest, _ := requests.Peek(requests.Buffered())
				request += string(rest)
			}
			_, _ = io.WriteString(l.server, request) // fails if the server has closed: it may have sent a last reply
			var ok bool
			if reply, ok = <-l.replies; !ok {
				return
			}
		}
		p.count(fate)
		if fate.Cut {
			_ = l.server.(*net.TCPConn).CloseWrite() // the server executes what it has received, and closes
			l.drain()
			return
		}
		if fate.Delay > 0 && !delayed {
			delayed = true
			select {
			case <-time.After(fate.Delay):
			case <-healed:
			}
		}
		if l.lost || l.mute {
			continue
		}
		if _, err := io.WriteString(l.client, reply); err != nil {
			return
		}
	}
}

// judge decides the fate of a command, and returns the channel that Heal closes.
func (p *Proxy) judge(l *link, args []string) (fate Fate, healed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[strings.ToUpper(args[0])]++
	if p.fault.left != 0 && p.fault.match(args) {
		p.fault.left--
		fate = p.fault.fate
	}
	l.lost = l.lost || fate.Lose
	l.mute = l.mute || fate.Mute
	return fate, p.healed
}

func (p *Proxy) count(fate Fate) {
	if fate == (Fate{}) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.affected++
}

// close closes the listener and all connections, and waits for their goroutines.
func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Heal()
	p.Cut()
	p.running.Wait()
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// drain waits until the server has closed the connection.
func (l *link) drain() {
	for range l.replies {
	}
}

// readReplies receives the server's answers. When the server closes the connection, it makes serve stop reading, so that
// the client sees the end at once, but only after the last reply.
func (l *link) readReplies() {
	defer close(l.replies)
	defer func() { _ = l.client.SetReadDeadline(time.Unix(1, 0)) }() // fails if the client is gone
	r := bufio.NewReader(l.server)
	for {
		reply, err := readReply(r)
		if err != nil {
			return
		}
		l.replies <- reply
	}
}

// readReply reads one reply. In RESP3 the reply to INFO is a verbatim string ("=15\r\ntxt:..."), which proto does not
// support.
func readReply(r *bufio.Reader) (string, error) {
	first, err := r.Peek(1)
	if err != nil || first[0] != '=' {
		return proto.Read(r)
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return "", err
	}
	text := make([]byte, n+len("\r\n"))
	_, err = io.ReadFull(r, text)
	return line + string(text), err
}
