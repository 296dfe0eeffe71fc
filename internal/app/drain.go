package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	// drainTime is how long requests under way may take after SIGTERM: Cloud Foundry kills after 10 seconds.
	drainTime = 7 * time.Second
	// lingerTime is the part of it in which connections are kept open for a request that may be on its way already.
	lingerTime = time.Second
	// shutTime is how long the server may take to notice who has come in.
	shutTime = 50 * time.Millisecond
)

// serveUntil serves until ctx ends, and then finishes the requests under way.
func serveUntil(ctx context.Context, l *net.TCPListener, routes http.Handler, draining *atomic.Bool, log *slog.Logger) error {
	var open connections
	server := newServer(routes, log)
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		answered(conn, state)
		open.note(state)
	}
	door := door{l}
	served := make(chan error, 1)
	go func() { served <- server.Serve(door) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	door.shut(served) // from now on a router is refused, and asks another instance
	draining.Store(true)
	log.Info("stopping", slog.String("at_most", drainTime.String()))
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if !open.drain(drain, server) {
		log.Warn("some requests did not end in time")
		return server.Close()
	}
	log.Info("stopped")
	return nil
}

// newServer returns a server that slow or greedy clients cannot hold.
func newServer(routes http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      routes,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 20 * time.Second,
		IdleTimeout:                  2 * time.Minute, // the platforms' routers let go first, after 90 seconds
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug), // complaints about clients
	}
}

// door is a listener that is closed behind those who have come in. The kernel lets clients in before the program knows
// of them, and throws out again whoever it does not know yet when a listener is just closed.
type door struct{ *net.TCPListener }

// Accept reports the deadline that shut sets as the end: the server would take it for a passing fault, and go on.
func (d door) Accept() (net.Conn, error) {
	conn, err := d.TCPListener.Accept()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, net.ErrClosed
	case err != nil:
		return nil, err
	}
	return &gatherer{Conn: conn}, nil
}

// shut closes the listener when the server has taken over everybody who came in before the call. served is what the
// server returns then.
func (d door) shut(served <-chan error) {
	if d.SetDeadline(time.Now().Add(shutTime)) == nil {
		<-served //nolint:errcheck // it says that the listener is closed, which is what was asked for
	}
	_ = d.Close()
}

// connections are how many a server has open. It is safe for concurrent use.
type connections struct{ number atomic.Int64 }

// note follows a connection's life.
func (c *connections) note(state http.ConnState) {
	switch state {
	case http.StateNew:
		c.number.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.number.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// drain returns when the last connection of the server is closed, or ctx ends: then it returns false.
//
// [http.Server.Shutdown] would do for requests that are being answered, but it cuts off those that are on their way: it
// closes idle connections, on which a router may just be sending, and drops what arrives on new ones. So for a moment
// everything is answered as ever, and each answer closes its connection, as the router is told by its headers: those in
// use end one after the other, between two requests. Only then are the rest closed, if they are idle.
func (c *connections) drain(ctx context.Context, server *http.Server) bool {
	moment, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	if c.gone(moment) {
		return true
	}
	server.SetKeepAlivesEnabled(false)
	return c.gone(ctx)
}

// gone waits for the last connection, until ctx ends.
func (c *connections) gone(ctx context.Context) bool {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.number.Load() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
