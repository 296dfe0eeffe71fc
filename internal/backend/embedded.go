package backend

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"

	"visit-counter/internal/config"
)

// tick is how often the clock of an embedded Redis advances, and so how late a key may expire.
const tick = 100 * time.Millisecond

// Embedded is a Redis inside this process, for looking rather than for keeping: it takes the same commands and scripts
// over the same client as a real one, and what it holds ends with the process. It is safe for concurrent use.
type Embedded struct {
	server   *miniredis.Miniredis
	password string
	done     chan struct{}
	stopped  chan struct{}
}

// StartEmbedded starts one on a free port of the loopback interface, with a random password. The caller closes it.
func StartEmbedded() (*Embedded, error) {
	e := &Embedded{
		server: miniredis.NewMiniRedis(), password: rand.Text(),
		done: make(chan struct{}), stopped: make(chan struct{}),
	}
	e.server.RequireAuth(e.password)
	if err := e.server.Start(); err != nil {
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	go e.moveClock()
	return e, nil
}

// URL returns the address with the password, for a REDIS_URL.
func (e *Embedded) URL() string { return "redis://:" + e.password + "@" + e.server.Addr() }

// Close ends it, data and all.
func (e *Embedded) Close() {
	close(e.done)
	<-e.stopped
	e.server.Close()
}

// moveClock lets time pass: miniredis is made for tests, and expires keys only when its clock is moved.
func (e *Embedded) moveClock() {
	defer close(e.stopped)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-e.done:
			return
		case <-ticker.C:
			now := time.Now()
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func openEmbedded(cfg config.Config, log *slog.Logger) (*Backend, error) {
	e, err := StartEmbedded()
	if err != nil {
		return nil, err
	}
	r := cfg.RedisAt(e.server.Addr(), "embedded in this process")
	r.Options.Password = e.password
	keep := "start a redis-server, or set REDIS_URL"
	if cfg.Store == config.StoreMemory {
		keep = "unset SESSION_STORE=memory"
	}
	log.Warn("SESSIONS ARE IN MEMORY ONLY: every count is lost when this process ends, and no other instance sees it",
		slog.String("instead", keep))
	client := r.Client()
	client.AddHook(tracer{})
	return &Backend{
		Store: config.StoreMemory, Client: client, Redis: r,
		close: []func(){func() { _ = client.Close() }, e.Close},
	}, nil
}
