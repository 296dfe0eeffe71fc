package redisserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Reserved ports lie below the range from which the kernel takes ports for outgoing connections. Otherwise a client that
// keeps dialling a server that is down could get the very port that the server needs again, and even connect to itself.
// The port of the cluster bus (port + 10000) lies below that range, too.
const firstPort, ports = 10_000, 10_000

// Port is a reserved TCP port on 127.0.0.1: [ReservePort] returns it to no other caller, in this process or another, until
// Release or the end of the process. So a server that listens there can end and come back. Programs that choose their
// ports in other ways may still bind it.
type Port struct {
	Number int
	held   net.PacketConn // the UDP port of the same number, which only one process can bind
}

// ReservePort returns a port on which nothing listens now, and which no outgoing connection gets while it is unused. The
// caller releases it.
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

// Release ends the reservation. Calling it again does nothing.
func (p Port) Release() {
	if p.held != nil {
		_ = p.held.Close() // fails only if it has been closed before
	}
}
