package app

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestNoConnectionIsResetWhenTheListenerCloses(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 5
	clients := make([]net.Conn, n)
	for i := range clients {
		if clients[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = clients[i].Close() }()
	}
	waiting := closeListener(l)
	if len(waiting) != n {
		t.Fatalf("%d connections were waiting, want %d", len(waiting), n)
	}
	for _, conn := range waiting {
		_, _ = io.WriteString(conn, "hello")
		_ = conn.Close()
	}
	for _, client := range clients {
		_ = client.SetDeadline(time.Now().Add(10 * time.Second))
		if text, err := io.ReadAll(client); string(text) != "hello" || err != nil {
			t.Errorf("a client got %q, %v, want hello", text, err)
		}
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a closed listener accepts connections")
	}
}
