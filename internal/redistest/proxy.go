package redistest

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
)

const dialTimeout = time.Second // from the proxy to its target

// Proxy is a TCP proxy on 127.0.0.1 in front of one server, and the faults of the network between. It
// starts healthy; faults add up until Heal ends them all. While the target is down it accepts connections
// and closes them.
//
// A Proxy understands the Redis protocol, pipelines and push messages included. A connection that speaks TLS
// or becomes a stream (replication, MONITOR) is passed on as it is: faults that concern single commands do
// not apply to it. All methods are safe for concurrent use.
type Proxy struct {
	t       testing.TB
	target  Target
	addr    string
	wg      sync.WaitGroup // everything that runs, but for the cutters
	cutters sync.WaitGroup // what CutEvery started

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	closed   bool
	links    map[*link]struct{}
	faults   faults
	healed   chan struct{} // closed by Heal
	opened   int
	affected int
	requests map[string]int // by upper-case name
}

// faults are what Heal ends.
type faults struct {
	rejection       string
	delay           time.Duration
	swallowReplies  bool
	swallowRequests bool
	rules           []*rule
}

// rule says what happens to commands that match.
type rule struct {
	match Match
	left  int // how many more commands it applies to; negative: to all
	fate  fate
}

// fate is what becomes of one command.
type fate struct {
	kind   fateKind
	answer string // for answered
}

type fateKind int

const (
	passed         fateKind = iota
	lost                    // never reaches the server; the connection stays
	answered                // never reaches the server; the proxy answers
	replyDropped            // executed; then the connection is closed instead of answered
	replySwallowed          // executed; the reply vanishes and the connection stays
)

// NewProxy starts a proxy in front of target. It ends with the test.
func NewProxy(t testing.TB, target Target) *Proxy {
	t.Helper()
	p := &Proxy{
		t:        t,
		target:   target,
		links:    map[*link]struct{}{},
		healed:   make(chan struct{}),
		requests: map[string]int{},
	}
	Wait(t, "a free port for a proxy", func() bool {
		port, err := redisserver.ReservePort()
		if err != nil {
			return false
		}
		t.Cleanup(port.Release)
		p.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port.Number))
		return p.listen() == nil
	})
	t.Cleanup(p.close)
	return p
}

// Addr returns the proxy's host and port, which never change.
func (p *Proxy) Addr() string { return p.addr }

// URL returns the target's URL with the proxy's address in it.
func (p *Proxy) URL() string {
	u, err := url.Parse(p.target.URL())
	if err != nil {
		panic("redistest: a target has an address that is no URL")
	}
	u.Host = p.addr
	return u.String()
}

// Refuse makes the kernel refuse new connections, as if nothing ran there. Present ones stay: see CutAll.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// Reject answers each new connection with a line, such as MaxClients, and closes it. Present ones stay.
func (p *Proxy) Reject(line string) { p.change(func(f *faults) { f.rejection = line }) }

// CutAll closes all present connections, once.
func (p *Proxy) CutAll() {
	for _, l := range p.present() {
		l.close()
	}
}

// CutEvery closes all connections again and again.
func (p *Proxy) CutEvery(interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	healed := p.healed
	p.cutters.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.CutAll()
			case <-healed:
				return
			}
		}
	})
}

// Delay holds what the server sends back by d, each time.
func (p *Proxy) Delay(d time.Duration) { p.change(func(f *faults) { f.delay = d }) }

// SwallowReplies makes everything that the server sends vanish while connections stay up. Commands are
// executed.
func (p *Proxy) SwallowReplies() { p.change(func(f *faults) { f.swallowReplies = true }) }

// SwallowRequests makes everything that clients send vanish while connections stay up.
func (p *Proxy) SwallowRequests() { p.change(func(f *faults) { f.swallowRequests = true }) }

// DropNextReplies lets the server execute the next n commands that match and closes their connection instead
// of delivering the reply. Other commands on that connection lose theirs, too.
func (p *Proxy) DropNextReplies(n int, match Match) { p.rule(n, match, fate{kind: replyDropped}) }

// SwallowNextReplies lets the server execute the next n commands that match and makes the reply vanish. The
// connection stays up, so that a pipelining client would take the following reply for this one.
func (p *Proxy) SwallowNextReplies(n int, match Match) { p.rule(n, match, fate{kind: replySwallowed}) }

// Reply answers every command that matches with a line, such as ReadOnly; the server never sees it.
func (p *Proxy) Reply(line string, match Match) { p.ReplyNext(-1, line, match) }

// ReplyNext does what Reply does for the next n commands that match.
func (p *Proxy) ReplyNext(n int, line string, match Match) {
	p.rule(n, match, fate{kind: answered, answer: line})
}

// Heal ends all faults and returns when connections are accepted again. Connections on which something
// vanished are closed, because what follows on them would be taken for what did not arrive.
func (p *Proxy) Heal() {
	if err := p.listen(); err != nil {
		p.t.Errorf("proxy: %v", err)
	}
	for _, l := range p.heal() {
		l.close()
	}
	p.cutters.Wait() // none cuts a connection that is opened from now on
}

// heal ends the faults and returns the connections on which something vanished.
func (p *Proxy) heal() (damaged []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults{}
	close(p.healed)
	p.healed = make(chan struct{})
	for l := range p.links {
		if l.damaged {
			damaged = append(damaged, l)
		}
	}
	return damaged
}

// Open returns how many connections there are now.
func (p *Proxy) Open() int { return len(p.present()) }

// Opened returns how many connections were ever accepted, rejected ones included.
func (p *Proxy) Opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// Requests returns how many commands of these names clients have sent; without names, how many at all.
func (p *Proxy) Requests(names ...string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, name := range names {
		n += p.requests[strings.ToUpper(name)]
	}
	if len(names) == 0 {
		for _, count := range p.requests {
			n += count
		}
	}
	return n
}

// Affected returns how many commands the faults that select commands have hit: a test that injects a fault
// can see that it happened.
func (p *Proxy) Affected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.affected
}

func (p *Proxy) change(apply func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	apply(&p.faults)
}

func (p *Proxy) rule(n int, match Match, f fate) {
	p.change(func(fs *faults) { fs.rules = append(fs.rules, &rule{match: match, left: n, fate: f}) })
}

// judge counts one command and decides what becomes of it.
func (p *Proxy) judge(l *link, args []string) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[strings.ToUpper(args[0])]++
	if p.faults.swallowRequests {
		l.damaged = true
		return fate{kind: lost}
	}
	for _, r := range p.faults.rules {
		if r.left != 0 && r.match(args) {
			r.left--
			p.affected++
			l.damaged = l.damaged || r.fate.kind == replySwallowed
			return r.fate
		}
	}
	return fate{}
}

// vanishes reports whether bytes of a direction vanish now, and notes that on the connection.
func (p *Proxy) vanishes(l *link, direction func(faults) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !direction(p.faults) {
		return false
	}
	l.damaged = true
	return true
}

func requestsVanish(f faults) bool { return f.swallowRequests }

func repliesVanish(f faults) bool { return f.swallowReplies }

// delay returns how long to hold a reply, and the channel that tells when there is no more need to.
func (p *Proxy) delay() (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults.delay, p.healed
}

func (p *Proxy) present() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

// listen accepts connections, unless it does already.
func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.listener = l
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed by Refuse or close
			}
			p.wg.Go(func() { p.serve(client) })
		}
	})
	return nil
}

// serve connects one client to the target.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	p.opened++
	rejection := p.faults.rejection
	p.mu.Unlock()
	if rejection != "" {
		_, _ = client.Write([]byte(rejection + "\r\n")) // the client may be gone
		return
	}
	server, err := net.DialTimeout("tcp", p.target.Addr(), dialTimeout)
	if err != nil {
		return
	}
	l := newLink(p, client, server)
	defer l.close()
	if p.add(l) {
		l.run()
		p.remove(l)
	}
}

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

// close ends everything and waits for it.
func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.heal() // ends what waits for it
	p.CutAll()
	p.cutters.Wait()
	p.wg.Wait()
}
