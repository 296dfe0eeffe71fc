//go:build !linux

package app

import "net"

// closeListener closes a listener. Here the system resets the connections that the server has not accepted yet.
func closeListener(l *net.TCPListener) (waiting []net.Conn) {
	_ = l.Close()
	return nil
}
