package redisserver

import (
	"fmt"
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

// Port is a TCP port on 127.0.0.1 that nobody else is given by [ReservePort], in this process or another, until
// Release or the end of the process: so that what listens there can end and come back. Programs that choose their
// ports otherwise may still bind it.
type Port struct {
	Number int
	held   net.PacketConn // the UDP port of the same number, which the kernel gives to one process only
}

// ReservePort returns a port that nobody listens on now and that no outgoing connection will be given while it is
// unused. The caller releases it.
func ReservePort() (Port, error) {
	var reason error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		held, err := net.ListenPacket("udp", addr)
		if err != nil {
			reason = err
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			_ = held.Close()
			reason = err
			continue
		}
		_ = l.Close()
		return Port{port, held}, nil
	}
	return Port{}, fmt.Errorf("no free port on 127.0.0.1: %w", reason)
}

// Release gives the port up. Releasing twice is fine.
func (p Port) Release() {
	if p.held != nil {
		_ = p.held.Close() // it has been closed, or is
	}
}
