package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted counts the writes to a connection.
type counted struct {
	*net.TCPConn
	writes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(p)
}

// gathering is a listener whose connections are gatherers.
type gathering struct {
	net.Listener
	writes atomic.Int64
}

func (l *gathering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatherer{Conn: counted{conn.(*net.TCPConn), &l.writes}}, nil
}

// sized serves answers of as many bytes as the path says.
func sized(t *testing.T) *gathering {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		w.Header()["Date"] = nil // always the same length
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(pattern(size))
	}))
	l := &gathering{Listener: server.Listener}
	server.Listener, server.Config.ConnState = l, answered
	server.Start()
	t.Cleanup(server.Close)
	return l
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * i >> 8)
	}
	return b
}

// readSized reads an answer, wants it to be that of so many bytes, and returns whether its connection is to be closed.
func readSized(t *testing.T, reader *bufio.Reader, size int) (closing bool) {
	t.Helper()
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Errorf("%d bytes: %v", size, err)
		return true
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Equal(body, pattern(size)) {
		t.Errorf("%d bytes came as %d (%v)", size, len(body), err)
	}
	return answer.Close
}

// Around each multiple of the buffer's size lies the one where nothing follows a full buffer.
func TestAnswersOfEverySizeArriveWhole(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, proto, header string
		closing             bool
	}{
		{"kept alive", "1.1", "", false}, {"closed", "1.1", "Connection: close\r\n", true}, {"HTTP/1.0", "1.0", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := sized(t)
			var conn net.Conn
			var reader *bufio.Reader
			for size := range 3*fullBuffer + 100 {
				if size%fullBuffer > 100 && size%fullBuffer < fullBuffer-200 && size%97 != 0 {
					continue
				}
				if conn == nil {
					var err error
					if conn, err = net.Dial("tcp", l.Addr().String()); err != nil {
						t.Fatal(err)
					}
					reader = bufio.NewReader(conn)
				}
				fmt.Fprintf(conn, "GET /%d HTTP/%s\r\nHost: x\r\n%s\r\n", size, test.proto, test.header)
				if closing := readSized(t, reader, size); closing != test.closing {
					t.Fatalf("%d bytes: the connection is to be closed: %v, want %v", size, closing, test.closing)
				}
				if test.closing {
					if _, err := reader.ReadByte(); err != io.EOF {
						t.Fatalf("%d bytes: the connection ended with %v", size, err)
					}
					_ = conn.Close()
					conn = nil
				}
			}
			if conn != nil {
				_ = conn.Close()
			}
		})
	}
}

// net/http closes the sending half first where the client may still be sending: it may have missed the answer otherwise.
func TestAnswersToBodiesThatNobodyReadsArriveWhole(t *testing.T) {
	t.Parallel()
	l := sized(t)
	var all sync.WaitGroup
	for size := fullBuffer - 200; size < fullBuffer; size++ {
		all.Go(func() {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			fmt.Fprintf(conn, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", size)
			readSized(t, bufio.NewReader(conn), size)
		})
	}
	all.Wait()
}

func TestAnswersOfPipelinedRequestsArriveWhole(t *testing.T) {
	t.Parallel()
	l := sized(t)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	sizes := []int{1, 3900, 4000, 4096, 5000, 8000, 8192, 20_000, 2}
	go func() {
		for _, size := range sizes {
			fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", size)
		}
	}()
	reader := bufio.NewReader(conn)
	for _, size := range sizes {
		readSized(t, reader, size)
	}
}

// Whatever came after half an answer would be read as its other half.
func TestNothingFollowsHalfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		defer func() { _ = client.Close() }()
		g := &gatherer{Conn: conn}
		defer func() { _ = g.Close() }()
		if _, err := g.Write(pattern(fullBuffer)); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.ReadFull(client, make([]byte, fullBuffer/2)) }()
		answered(g, http.StateIdle)
		go func() { _, _ = io.Copy(io.Discard, client) }()
		_ = g.SetWriteDeadline(time.Time{})
		if _, err := g.Write([]byte("the next answer")); err == nil {
			t.Error("an answer was sent after half of another")
		}
	})
}

func TestAFinishedAnswerLeavesTheNextOneItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		defer func() { _ = client.Close() }()
		g := &gatherer{Conn: conn}
		defer func() { _ = g.Close() }()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		if _, err := g.Write(pattern(fullBuffer)); err != nil {
			t.Fatal(err)
		}
		answered(g, http.StateIdle)
		<-time.After(2 * releaseTime)
		if _, err := g.Write([]byte("the next answer")); err != nil {
			t.Errorf("the next answer: %v", err)
		}
	})
}

// A server that stops closes a connection as soon as that is idle, and that is before its answer is finished.
func TestAnAnswerIsWholeThoughItsConnectionIsClosed(t *testing.T) {
	t.Parallel()
	for range 200 {
		client, conn := net.Pipe()
		g := &gatherer{Conn: conn}
		if _, err := g.Write(pattern(fullBuffer)); err != nil {
			t.Fatal(err)
		}
		var ending sync.WaitGroup
		ending.Go(func() { answered(g, http.StateIdle) })
		begun, err := io.ReadFull(client, make([]byte, 1))
		if err != nil {
			t.Fatal(err)
		}
		ending.Go(func() { _ = g.Close() })
		if rest, err := io.ReadAll(client); err != nil || begun+len(rest) != fullBuffer {
			t.Fatalf("%d bytes of the answer came (%v)", begun+len(rest), err)
		}
		ending.Wait()
	}
}

func TestClosingCutsOffAWriteUnderWay(t *testing.T) {
	t.Parallel()
	client, conn := net.Pipe()
	g := &gatherer{Conn: conn}
	written := make(chan error, 1)
	go func() {
		_, err := g.Write([]byte("an answer that nobody reads"))
		written <- err
	}()
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = g.Close()
	if err := <-written; err == nil {
		t.Error("it was written")
	}
}

func TestAPageIsOneWrite(t *testing.T) {
	t.Parallel()
	l := sized(t)
	const pages, page = 10, 5000
	for range pages {
		answer, err := http.Get("http://" + l.Addr().String() + "/" + strconv.Itoa(page))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != page {
			t.Fatalf("%d bytes, %v", n, err)
		}
		_ = answer.Body.Close()
	}
	if got := l.writes.Load(); got != pages {
		t.Errorf("%d pages were %d writes", pages, got)
	}
}
