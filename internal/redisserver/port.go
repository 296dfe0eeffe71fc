package redisserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Free ports are taken from below the range from which the kernel gives ports to outgoing connections.
// Otherwise a client that keeps dialling a server that is down could be given, or even connect to itself on,
// the very port that the server needs again. The cluster bus (port + 10000) stays below that range, too.
const (
	firstPort = 10_000
	lastPort  = 19_999
)

// FreePort returns a port on 127.0.0.1 that nobody listens on now and that no outgoing connection will be
// given while it is unused. Somebody else may still bind it first.
func FreePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // a port is no secret
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// choosePort returns the port wanted or, if that is 0, a free one.
func choosePort(wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	return FreePort()
}
