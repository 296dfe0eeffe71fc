package templates

import (
	"fmt"
	"html/template"
	"io"
	"time"
)

// Store says where sessions are kept.
type Store string

// The two stores a process can run with. Memory is the Redis embedded in the process itself: the same commands, but
// everything is gone when the process ends.
const (
	Redis  Store = "redis"
	Memory Store = "memory"
)

// Settings are the facts that do not change while the process runs. All of them are escaped where they are shown; none
// may be secret.
type Settings struct {
	Instance     string        // name of this process, as people know it: "web.2"
	Started      time.Time     // when this process started
	Store        Store         // where the sessions are
	RedisSource  string        // where the address was found: "REDIS_URL", "VCAP_SERVICES"; empty in memory
	RedisAddress string        // host and port without user and password; empty in memory
	Unverified   bool          // true if Redis is reached over TLS without checking its certificate
	RedisCLI     string        // how to reach that Redis by hand: "redis-cli -p 6380"; empty leaves the commands out
	KeyPrefix    string        // of every key in Redis: "visits:"
	CookieName   string        // with its __Host- prefix, if it has one
	TTL          time.Duration // how long a session lives after a visit
	DemoControls bool          // true offers the button "Stop this instance"
}

// URLs finds the address of a static file by its plain name. It is satisfied by *static.Files.
type URLs interface {
	URL(name string) string
}

// Pages renders the pages of one process. It never changes after New, so any number of goroutines may use it.
type Pages struct {
	settings Settings
	home     *template.Template
	problem  *template.Template
	frame    frame
}

// frame is what every page has around its content.
type frame struct {
	Style, Script, Icon string
}

// New parses the embedded templates for a process with these settings. urls must know "style.css", "script.js" and
// "favicon.svg".
func New(urls URLs, s Settings) (*Pages, error) {
	p := &Pages{settings: s}
	for name, url := range map[string]*string{
		"style.css": &p.frame.Style, "script.js": &p.frame.Script, "favicon.svg": &p.frame.Icon,
	} {
		if *url = urls.URL(name); *url == "" {
			return nil, fmt.Errorf("templates: no static file is named %s", name)
		}
	}
	var err error
	if p.home, err = template.ParseFS(files, "home.html", "frame.html"); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if p.problem, err = template.ParseFS(files, "problem.html", "frame.html"); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	return p, nil
}

// Home writes the page of a counted visit. It writes in many small pieces, and an error may come after some of them:
// hand it a buffer, and send that when it returned nil.
func (p *Pages) Home(w io.Writer, h Home) error {
	if err := p.home.Execute(w, p.homeView(h)); err != nil {
		return fmt.Errorf("templates: home: %w", err)
	}
	return nil
}

// Problem writes a page that is not a counted visit. The status is for the caller to send. Like Home, it wants a buffer.
func (p *Pages) Problem(w io.Writer, pr Problem) error {
	view := struct {
		frame
		Problem
	}{p.frame, pr}
	if err := p.problem.Execute(w, view); err != nil {
		return fmt.Errorf("templates: problem: %w", err)
	}
	return nil
}
