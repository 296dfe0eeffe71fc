package templates

import (
	"errors"
	"fmt"
	"io"
	"text/template/parse"
	"time"
)

// Store says where sessions are kept.
type Store string

// The stores a process can run with. Memory is the Redis embedded in the process itself: the same commands, but
// everything is gone when the process ends. With None there is no Redis, so that no visit can be counted.
const (
	Redis  Store = "redis"
	Memory Store = "memory"
	None   Store = "none"
)

// Settings are the facts that do not change while the process runs. All of them are escaped where they are shown; none
// may be secret.
type Settings struct {
	Instance     string    // name of this process, as people know it: "web.2"
	Started      time.Time // when this process started
	Store        Store     // where the sessions are
	RedisSource  string    // where the address was found: "REDIS_URL", "VCAP_SERVICES"; not shown for Memory
	RedisAddress string    // host and port without user and password; not shown for Memory
	Unverified   bool      // true if Redis is reached over TLS without checking its certificate
	RedisCLI     string    // how to reach that Redis by hand: "redis-cli -p 6380"; empty leaves the commands out
	KeyPrefix    string    // of every key in Redis: "visits:"
	CookieName   string    // with its __Host- prefix, if it has one
	DemoControls bool      // true offers the button "Stop this instance"
}

// URLs finds the address of a static file by its plain name. It is satisfied by *static.Files.
type URLs interface {
	URL(name string) string
}

// Pages renders the pages of one process. It never changes after New, so any number of goroutines may use it.
type Pages struct {
	common page
	trees  map[string]*parse.Tree

	homes map[variant]*mold[homeSlots]
	rows  map[string]*mold[rowSlots]  // "row", "current", "earlier"
	nodes map[string]*mold[nodeSlots] // "node", "lit", "more"
}

// page is what is the same on every page of the process.
type page struct {
	Settings
	variant
	Style, Script, Icon string
	InMemory            bool
	KeepCommands        []string // to be typed where sessions are in memory
}

// variant is one way the home page can be put together. There is a mold for each.
type variant struct {
	First  bool // the count is 1
	New    bool // the browser brought no session
	Routed bool // a router has left a header
}

// New parses the embedded templates for a process with these settings. urls must know "style.css", "script.js" and
// "favicon.svg".
func New(urls URLs, s Settings) (*Pages, error) {
	p := &Pages{common: page{
		Settings:     s,
		Style:        urls.URL("style.css"),
		Script:       urls.URL("script.js"),
		Icon:         urls.URL("favicon.svg"),
		InMemory:     s.Store == Memory,
		KeepCommands: startRedis(),
	}}
	if p.common.Style == "" || p.common.Script == "" || p.common.Icon == "" {
		return nil, errors.New("templates: style.css, script.js or favicon.svg has no URL")
	}
	var err error
	if p.trees, err = parseFiles(files); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if err := p.makeMolds(); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	return p, nil
}

func (p *Pages) makeMolds() (err error) {
	if p.rows, err = castAll[rowSlots](p.trees, p.common, "row", "current", "earlier"); err != nil {
		return err
	}
	if p.nodes, err = castAll[nodeSlots](p.trees, p.common, "node", "lit", "more"); err != nil {
		return err
	}
	p.homes = make(map[variant]*mold[homeSlots])
	for i := range 8 {
		data := p.common
		data.variant = variant{First: i&1 != 0, New: i&2 != 0, Routed: i&4 != 0}
		if p.homes[data.variant], err = cast[homeSlots](p.trees, "home", data); err != nil {
			return err
		}
	}
	return nil
}

// Home writes the page of a counted visit with a single Write, so that w may be the connection itself. A bytes.Buffer or
// bufio.Writer with room is written to in place.
func (p *Pages) Home(w io.Writer, h Home) error {
	var room []byte
	if lender, ok := w.(interface{ AvailableBuffer() []byte }); ok {
		room = lender.AvailableBuffer()
	}
	if _, err := w.Write(p.appendHome(room, h)); err != nil {
		return fmt.Errorf("templates: write home page: %w", err)
	}
	return nil
}

// Problem writes a page that is not a counted visit, also with a single Write. The status is for the caller to send.
// Where sessions are in memory it never says that the count is safe.
func (p *Pages) Problem(w io.Writer, pr Problem) error {
	if p.common.InMemory {
		pr.CountSafe = false
	}
	data := struct {
		page
		Problem
	}{p.common, pr}
	m, err := cast[struct{}](p.trees, "problem", data)
	if err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	if _, err := w.Write(m.fill(nil, new(struct{}))); err != nil {
		return fmt.Errorf("templates: write problem page: %w", err)
	}
	return nil
}
