// Package templates turns what a request found out into HTML. It talks neither to a browser nor to Redis: the caller
// fills a Home or a Problem, and every word that depends on a number is chosen here.
//
// The pages are the .templ files, from which `make generate` writes the _templ.go files beside them. They are committed,
// because platforms build with plain `go install`.
package templates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"visit-counter/internal/config"
)

// Settings are the facts that do not change while the process runs. All of them are escaped where they are shown; none
// may be secret.
type Settings struct {
	Instance     string       // name of this process, as people know it: "web.2"
	Started      time.Time    // when this process started
	Store        config.Store // where the sessions are
	RedisSource  string       // where the address was found: "REDIS_URL", "VCAP_SERVICES"; not shown for StoreMemory
	RedisAddress string       // host and port without user and password; not shown for StoreMemory
	Unverified   bool         // true if Redis is reached over TLS without checking its certificate
	RedisCLI     string       // how to reach that Redis by hand: "redis-cli -p 6380"; empty leaves the commands out
	KeyPrefix    string       // of every key in Redis: "visits:"
	CookieName   string       // with its __Host- prefix, if it has one
	DemoControls bool         // true offers the button "Stop this instance"

	Platform config.Platform // whose commands are shown where no Redis is configured
	AppName  string          // the app's name on it; "" if unknown
}

// Pages renders the pages of one process. It never changes after New, so any number of goroutines may use it.
type Pages struct {
	Settings

	// The parts that are the same at every visit are rendered once. findKey is the command that finds a session's key, up
	// to the id.
	head, brand, header, banner, servedBy, buttons, instance, source, findKey, readKey markup
}

// New returns the pages of a process with these settings.
func New(s Settings) (*Pages, error) {
	p := &Pages{Settings: s}
	var failed error
	once := func(c templ.Component) markup {
		var html strings.Builder
		failed = errors.Join(failed, c.Render(context.Background(), &html))
		return markup(html.String())
	}
	p.head = once(head())
	p.brand = once(brand())
	p.header = once(p.homeHeader())
	p.banner = once(p.memoryBanner())
	p.buttons = once(p.actions())
	p.servedBy = once(p.served())
	p.instance = once(p.name())
	p.source = once(p.redisSource())
	p.findKey = command(s.RedisCLI + " --scan --pattern '" + s.KeyPrefix + "session:")
	p.readKey = once(lines([]string{s.RedisCLI + " HGETALL KEY", s.RedisCLI + " TTL KEY"}))
	if failed != nil {
		return nil, fmt.Errorf("templates: %w", failed)
	}
	return p, nil
}

// storeName is what people call the place where the sessions are.
func (p *Pages) storeName() string {
	if p.Store == config.StoreMemory {
		return "Memory"
	}
	return "Redis"
}

// Home writes the page of a counted visit, in pieces. Pass a buffer, so that a page that fails halfway is not sent.
func (p *Pages) Home(w io.Writer, h Home) error {
	title := strconv.FormatInt(h.Visits, 10) + " " + plural(h.Visits, "time")
	return write(w, p.frame(title, p.home(&h)))
}

// Problem writes a page that is not a counted visit, in pieces as Home does. The status is for the caller to send.
// Where sessions are in memory it never says that the count is safe.
func (p *Pages) Problem(w io.Writer, pr Problem) error {
	if p.Store == config.StoreMemory {
		pr.CountSafe = false
	}
	return write(w, p.frame(pr.Title, p.problem(pr)))
}

func write(w io.Writer, page templ.Component) error {
	if err := page.Render(context.Background(), w); err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	return nil
}
