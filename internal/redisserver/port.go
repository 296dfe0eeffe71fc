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
const firstPort, ports = 10_000, 10_000

// Port is a TCP port on 127.0.0.1 that nobody else is given by [ReservePort], in this process or another, until
// Release or the end of the process: so that what listens there can end and come back. Programs that choose their
// ports otherwise may still bind it.
type Port struct {
	Number int
	held   net.PacketConn // the UDP port of the same number, which the kernel gives to one process only
}

// ReservePort returns a port that nobody listens on now and that no outgoing connection will be given while it is
// unused. The caller releases it.
func ReservePort() (port Port, err error) {
	for range 100 {
		port.Number = firstPort + rand.IntN(ports)
		if port.held, err = net.ListenPacket("udp", port.Addr()); err != nil {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", port.Addr()); err == nil {
			return port, l.Close()
		}
		port.Release()
	}
	return Port{}, fmt.Errorf("no free port on 127.0.0.1: %w", err)
}

// Addr returns the port's host and port.
func (p Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Release gives the port up. Releasing twice is fine.
func (p Port) Release() {
	if p.held != nil {
		_ = p.held.Close() // it has been closed, or is
	}
}
