package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wire is a bare connection to an instance, for requests that no HTTP client would send.
type wire struct {
	net.Conn
	reader *bufio.Reader
}

func (i *instance) dial(t testing.TB) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{conn, bufio.NewReader(conn)}
}

// send sends text, whose lines end as in HTTP.
func (w *wire) send(t testing.TB, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(w, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// answer reads the answer to a request of that method.
func (w *wire) answer(t testing.TB, method string) response {
	t.Helper()
	answer, err := w.read(method)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return answer
}

func (w *wire) read(method string) (response, error) {
	began := time.Now()
	answer, err := http.ReadResponse(w.reader, &http.Request{Method: method})
	if err != nil {
		return response{}, err
	}
	if answer.Close {
		answer.Header.Set("Connection", "close") // ReadResponse takes it out
	}
	return read(answer, began)
}

// closed reports whether the instance ends the connection without saying anything more.
func (w *wire) closed() bool {
	_, err := w.reader.ReadByte()
	return err != nil
}
