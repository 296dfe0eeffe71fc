package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

// setup returns a proxy, a client through it and one past it.
func setup(t *testing.T, opts ...redistest.Option) (p *redistest.Proxy, through, direct *redis.Client) {
	t.Helper()
	s := redistest.Start(t, opts...)
	p = redistest.NewProxy(t, s)
	return p, redistest.Client(t, p), redistest.Client(t, s)
}

// wantTimeout checks that a command gets no answer.
func wantTimeout(t *testing.T, c *redis.Client, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if err := c.Do(ctx, args...).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v: %v, want a timeout", args, err)
	}
}

func TestDroppedReplyBelongsToAnExecutedCommand(t *testing.T) {
	p, through, direct := setup(t, redistest.Password("p@ss/word"))
	must(t, through.Ping(t.Context()).Err())
	p.DropNextReplies(1, redistest.Writes)
	must(t, through.Exists(t.Context(), "n").Err()) // a read is spared
	if err := through.Incr(t.Context(), "n").Err(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("INCR whose reply is dropped: %v, want a lost connection", err)
	}
	wantValue(t, direct, "n", "1")
	must(t, through.Incr(t.Context(), "n").Err())
	wantValue(t, through, "n", "2")
	if got := p.Affected(); got != 1 {
		t.Errorf("Affected() = %d, want 1", got)
	}
}

func TestSwallowedReplyLeavesTheConnectionOpen(t *testing.T) {
	p, through, direct := setup(t)
	must(t, through.Ping(t.Context()).Err())
	p.SwallowNextReplies(1, redistest.Named("incr"))
	wantTimeout(t, through, "INCR", "n")
	wantValue(t, direct, "n", "1")
	wantValue(t, through, "n", "1")
}

func TestSwallowedRepliesAndRequestsDifferInWhatIsExecuted(t *testing.T) {
	p, through, direct := setup(t)
	must(t, through.Set(t.Context(), "n", 1, 0).Err())
	p.SwallowReplies()
	wantTimeout(t, through, "INCR", "n")
	wantValue(t, direct, "n", "2")
	p.Heal()
	must(t, through.Ping(t.Context()).Err())
	p.SwallowRequests()
	wantTimeout(t, through, "INCR", "n")
	p.Heal()
	wantValue(t, through, "n", "2")
}

func TestHealClosesConnectionsOnWhichSomethingVanished(t *testing.T) {
	p, _, _ := setup(t)
	whole, broken := dial(t, p), dial(t, p)
	exchange(t, whole, "PING\r\n", "+PONG\r\n")
	exchange(t, broken, "PING\r\n", "+PONG\r\n")
	p.SwallowNextReplies(1, redistest.Named("ECHO"))
	exchange(t, broken, "ECHO lost\r\nPING\r\n", "+PONG\r\n")
	p.Heal()
	if _, err := broken.Read(make([]byte, 1)); err == nil {
		t.Error("the damaged connection lives on")
	}
	exchange(t, whole, "PING\r\n", "+PONG\r\n")
}

func TestOwnAnswersKeepTheOrderOfAPipeline(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Set(t.Context(), "big", strings.Repeat("x\r\n", 50_000), 0).Err())
	p.Reply(redistest.ReadOnly, redistest.Writes)
	cmds, _ := through.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		pipe.Incr(t.Context(), "n")
		pipe.Get(t.Context(), "big")
		pipe.Incr(t.Context(), "n")
		pipe.Exists(t.Context(), "n")
		return nil
	})
	for i, refused := range []bool{true, false, true, false} {
		err := cmds[i].Err()
		if got := err != nil && strings.HasPrefix(err.Error(), "READONLY"); got != refused || err != nil != refused {
			t.Errorf("command %d: %v, want refused = %t", i, err, refused)
		}
	}
	if got := len(cmds[1].(*redis.StringCmd).Val()); got != 150_000 {
		t.Errorf("length of the long reply = %d, want 150000", got)
	}
}

func TestReplyNextAnswersOnlySoMany(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Ping(t.Context()).Err())
	p.ReplyNext(2, redistest.Loading, redistest.Any)
	for i, want := range []bool{false, false, true} {
		if err := through.Ping(t.Context()).Err(); (err == nil) != want {
			t.Errorf("PING %d: %v, want success = %t", i, err, want)
		}
	}
}

func TestRefusedConnectionsAreAcceptedAgainAfterHeal(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Ping(t.Context()).Err())
	p.Refuse()
	must(t, through.Ping(t.Context()).Err()) // the present connection stays
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want connection refused", err)
	}
	p.Heal()
	must(t, redistest.Client(t, p).Ping(t.Context()).Err())
}

func TestRejectedConnectionIsToldWhy(t *testing.T) {
	p, _, _ := setup(t)
	p.Reject(redistest.MaxClients)
	got, err := io.ReadAll(dial(t, p))
	if string(got) != redistest.MaxClients+"\r\n" || err != nil {
		t.Errorf("read %q, %v, want %q", got, err, redistest.MaxClients)
	}
}

func TestCutConnectionsAreClosedAndCounted(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Ping(t.Context()).Err())
	conn := dial(t, p)
	exchange(t, conn, "PING\r\n", "+PONG\r\n")
	if p.Open() != 2 || p.Opened() != 2 {
		t.Errorf("Open() = %d, Opened() = %d, want 2 and 2", p.Open(), p.Opened())
	}
	p.CutAll()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("read from a cut connection: no error")
	}
	redistest.Wait(t, "the connections to be gone", func() bool { return p.Open() == 0 })
	p.CutEvery(time.Millisecond)
	for range 3 {
		_, _ = io.ReadAll(dial(t, p)) // returns when it is cut
	}
	p.Heal()
	must(t, through.Ping(t.Context()).Err())
	if got := p.Requests("ping"); got != 3 {
		t.Errorf("Requests(ping) = %d, want 3", got)
	}
	if p.Requests() < 3 {
		t.Errorf("Requests() = %d, want at least 3", p.Requests())
	}
}

func TestDelayHoldsRepliesUntilHeal(t *testing.T) {
	p, through, _ := setup(t)
	must(t, through.Ping(t.Context()).Err())
	const delay = 30 * time.Millisecond
	p.Delay(delay)
	began := time.Now()
	must(t, through.Ping(t.Context()).Err())
	if took := time.Since(began); took < delay {
		t.Errorf("PING took %v, want at least %v", took, delay)
	}
	p.Delay(time.Hour)
	answered := make(chan error)
	go func() { answered <- through.Incr(context.Background(), "n").Err() }()
	redistest.Wait(t, "the request to pass", func() bool { return p.Requests("INCR") == 1 })
	p.Heal()
	must(t, <-answered)
}

func TestTLSPassesThroughTheProxy(t *testing.T) {
	p, through, _ := setup(t, redistest.TLS(redistest.TLSFiles(t, redistest.Valid)))
	must(t, through.Ping(t.Context()).Err())
	p.SwallowReplies()
	wantTimeout(t, through, "PING")
	p.Heal()
	must(t, through.Ping(t.Context()).Err())
}

func TestPushMessagesAreNotTakenForReplies(t *testing.T) {
	p, _, direct := setup(t)
	conn := dial(t, p)
	must(t, direct.Set(t.Context(), "k", "v", 0).Err())
	fmt.Fprint(conn, "HELLO 3\r\nCLIENT TRACKING ON\r\nGET k\r\n")
	r := bufio.NewReader(conn)
	readUntil(t, r, "$1")
	must(t, direct.Set(t.Context(), "k", "w", 0).Err())
	readUntil(t, r, ">2") // the invalidation arrives, and takes nobody's place
	p.ReplyNext(1, "+mine", redistest.Named("PING"))
	fmt.Fprint(conn, "ECHO first\r\nPING\r\nECHO last\r\n")
	readUntil(t, r, "first")
	readUntil(t, r, "+mine")
	readUntil(t, r, "last")
}

func dial(t *testing.T, p *redistest.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// exchange sends commands and checks the next bytes that come back.
func exchange(t *testing.T, conn net.Conn, send, want string) {
	t.Helper()
	fmt.Fprint(conn, send)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); string(got) != want || err != nil {
		t.Fatalf("%q: %q, %v, want %q", send, got, err, want)
	}
}

// readUntil reads up to and including a line.
func readUntil(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		if strings.TrimSpace(line) == want {
			return
		}
	}
}
