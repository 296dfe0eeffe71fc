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

	"visit-counter/internal/config"
)

const (
	// lingerTime is the part of [config.DrainTimeout] in which connections are kept open for a request that may already be on its way.
	lingerTime = time.Second
	// acceptTimeout is how long the server may take to accept the connections that the kernel has already made.
	acceptTimeout = 50 * time.Millisecond
)

// serveUntil serves until ctx ends, and then finishes the requests under way.
func serveUntil(ctx context.Context, l *net.TCPListener, routes http.Handler, draining *atomic.Bool, log *slog.Logger) error {
	var open connections
	server := newServer(routes, log)
	server.ConnState = open.note
	listener := gentleListener{l}
	ended := make(chan struct{})
	var err error
	go func() {
		err = server.Serve(listener)
		close(ended)
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
	}
	listener.stop(ended) // from now on a router is refused, and asks another instance
	draining.Store(true)
	log.Info("stopping", slog.String("at_most", config.DrainTimeout.String()))
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.DrainTimeout)
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

// gentleListener resets no connection when it is closed. The kernel completes connections before the program accepts
// them, and resets those that wait when a listener is just closed: in 1 of 4 rolling restarts a client saw that.
type gentleListener struct{ *net.TCPListener }

// Accept reports the deadline that stop sets as the end: the server would take it for a passing fault, and go on.
func (l gentleListener) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, net.ErrClosed
	}
	return conn, err
}

// stop closes the listener once the server has accepted the connections that were made before the call. ended is closed
// when the server no longer accepts any.
func (l gentleListener) stop(ended <-chan struct{}) {
	if l.SetDeadline(time.Now().Add(acceptTimeout)) == nil {
		<-ended
	}
	_ = l.Close()
}

// connections counts a server's open connections. It is safe for concurrent use.
type connections struct{ open atomic.Int64 }

// note follows a connection's life.
func (c *connections) note(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// drain returns when the server's last connection is closed, or ctx ends: then it returns false.
//
// [http.Server.Shutdown] alone lost 5 of 1,308 visits in a rolling restart: it closes idle connections, on which a router
// may just be sending, and drops what arrives on new ones. So for a moment requests are answered as before, and each
// answer closes its connection, which its headers tell the router. Only then are idle connections closed.
func (c *connections) drain(ctx context.Context, server *http.Server) bool {
	linger, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	if c.wait(linger) {
		return true
	}
	server.SetKeepAlivesEnabled(false)
	return c.wait(ctx)
}

// wait waits for the last connection to close. It returns false if ctx ends first.
func (c *connections) wait(ctx context.Context) bool {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
