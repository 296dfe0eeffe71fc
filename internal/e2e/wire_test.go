package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"visit-counter/internal/visitor"
)

// wire is a bare connection to an instance, for requests that no HTTP client would send.
type wire struct {
	net.Conn
	t      testing.TB
	reader *bufio.Reader
}

func (i *instance) dial(t testing.TB) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{conn, t, bufio.NewReader(conn)}
}

// send sends lines, separated as in HTTP.
func (w *wire) send(lines ...string) {
	w.t.Helper()
	_, err := io.WriteString(w, strings.Join(lines, "\r\n"))
	must(w.t, err)
}

// answer reads the answer to a request of that method.
func (w *wire) answer(method string) visitor.Answer {
	w.t.Helper()
	answer, err := w.read(method)
	if err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	return answer
}

func (w *wire) read(method string) (visitor.Answer, error) {
	answer, err := http.ReadResponse(w.reader, &http.Request{Method: method})
	if err != nil {
		return visitor.Answer{}, err
	}
	if answer.Close {
		answer.Header.Set("Connection", "close") // ReadResponse removes it
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	search(w.t, string(body), answer.Cookies()...)
	return visitor.Answer{Status: answer.StatusCode, Header: answer.Header, Body: string(body)}, err
}

// closed reports whether the instance closes the connection without sending anything more.
func (w *wire) closed() bool {
	_, err := w.reader.ReadByte()
	return err != nil
}
