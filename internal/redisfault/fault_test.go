package redisfault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

	"visit-counter/internal/redisfault"
	"visit-counter/redisstore"
)

// reply is an answer of Redis.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// wrapped is an error as the store returns it, with its own text.
type wrapped struct{ error }

func (wrapped) Error() string   { return "redisstore: redis is unavailable" }
func (w wrapped) Unwrap() error { return w.error }

func op(name string, err error) error { return &net.OpError{Op: name, Net: "tcp", Err: err} }

func TestEachErrorIsExplained(t *testing.T) {
	for _, test := range []struct {
		err    error
		code   string
		passes bool
	}{
		{reply("ERR unknown command `evalsha`, with args beginning with: `abc`, `1`, `NOAUTH `"), "unknown command", false}, // Redis 5
		{reply("ERR unknown command 'evalsha', with args beginning with: 'abc' '1' 'OOM '"), "unknown command", false},
		{reply("ERR Unknown Redis command called from script script: abc, on @user_script:3."), "unknown command", false},
		{reply("ERR Error running script (call to f_abc): @user_script:3: @user_script: 3: Unknown Redis command called from Lua script"), "unknown command", false},
		{reply("NOPERM User app has no permissions to run the 'evalsha' command"), "NOPERM", false},
		{reply("NOPERM this user has no permissions to access one of the keys used as arguments"), "NOPERM", false},
		{reply("ERR The user executing the script can't run this command or subcommand script: abc, on @user_script:3."), "NOPERM", false},
		{reply("ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"), "NOPERM", false},
		{reply("NOAUTH Authentication required."), "NOAUTH", false},
		{reply("NOAUTH HELLO must be called with the client already authenticated"), "NOAUTH", false},
		{reply("ERR Protocol error: unauthenticated multibulk length"), "NOAUTH", false},
		{reply("ERR Protocol error: unauthenticated bulk length"), "NOAUTH", false},
		{reply("WRONGPASS invalid username-password pair or user is disabled."), "WRONGPASS", false},
		{reply("ERR invalid password"), "WRONGPASS", false},
		{reply("ERR Client sent AUTH, but no password is set"), "no password", false},
		{reply("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"), "no password", false},
		{reply("DENIED Redis is running in protected mode because protected mode is enabled and no password is set"), "DENIED", false},
		{reply("OOM command not allowed when used memory > 'maxmemory'."), "OOM", false},
		{reply("ERR Error running script (call to f_abc): @user_script:3: @user_script: 3: -OOM command not allowed when used memory > 'maxmemory'."), "OOM", false},
		{reply("READONLY You can't write against a read only replica."), "READONLY", true},
		{reply("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."), "MISCONF", false},
		{reply("NOREPLICAS Not enough good replicas to write."), "NOREPLICAS", true},
		{reply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), "MASTERDOWN", true},
		{reply("CLUSTERDOWN Hash slot not served"), "CLUSTERDOWN", true},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), "TRYAGAIN", true},
		{reply("MOVED 1234 127.0.0.1:7001"), "MOVED", false},
		{reply("ASK 1234 127.0.0.1:7001"), "MOVED", false},
		{reply("ERR This instance has cluster support disabled"), "no Cluster", false},
		{reply("LOADING Redis is loading the dataset in memory"), "LOADING", true},
		{reply("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), "BUSY", true},
		{reply("UNKILLABLE Sorry the script already executed write commands against the dataset."), "UNKILLABLE", true},
		{reply("ERR max number of clients reached"), "max clients", true},
		{reply("ERR DB index is out of range"), "DB index", false},
		{reply("ERR invalid DB index"), "DB index", false},
		{reply("ERR SELECT is not allowed in cluster mode"), "DB index", false},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), "WRONGTYPE", false},
		{reply("NOSCRIPT No matching script. Please use EVAL."), "NOSCRIPT", false},
		{reply("EXECABORT Transaction discarded because of previous errors."), "EXECABORT", false},
		{reply("ERR value is not an integer or out of range"), "ERR", false},
		{reply("NEWCODE something that no Redis says today"), "NEWCODE", false},
		{reply("k3Jd9a is the start of a secret"), "ERR", false},
		{reply("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "ERR", false},

		{errors.New(`redis: can't parse "HTTP/1.1 400 Bad Request"`), "HTTP", false},
		{errors.New(`redis: invalid reply: "\x15\x03\x03\x00\x02\x02\n"`), "TLS wanted", false},
		{errors.New(`redis: can't parse "SSH-2.0-OpenSSH_9.9"`), "no Redis", false},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "certificate expired", false},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Host: "h", Certificate: &x509.Certificate{}}}, "certificate of another host", false},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "certificate not trusted", false},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "no TLS", false},
		{op("remote error", errors.New("tls: certificate required")), "TLS refused", false},
		{fmt.Errorf("redis: all sentinels specified in configuration are unreachable: %w", errors.Join(redis.Nil, op("dial", syscall.ECONNREFUSED))), "no master", true},
		{redis.ErrPoolTimeout, "pool", true},
		{redis.ErrClosed, "closed", false},
		{context.Canceled, "canceled", false},
		{op("dial", &net.DNSError{Err: "no such host", Name: "redis.invalid", IsNotFound: true}), "DNS", true},
		{op("dial", &net.DNSError{Err: "i/o timeout", Name: "redis.invalid", IsTimeout: true}), "DNS", true},
		{op("dial", os.ErrDeadlineExceeded), "connect timeout", true},
		{op("read", os.ErrDeadlineExceeded), "timeout", true},
		{context.DeadlineExceeded, "timeout", true},
		{op("dial", syscall.ECONNREFUSED), "refused", true},
		{op("dial", syscall.ENOENT), "refused", true},
		{op("dial", syscall.EACCES), "permission", true},
		{op("dial", syscall.EHOSTUNREACH), "network", true},
		{op("read", syscall.ECONNRESET), "connection closed", true},
		{op("write", syscall.EPIPE), "connection closed", true},
		{io.EOF, "connection closed", true},
		{net.ErrClosed, "connection closed", true},
		{fmt.Errorf("%w: the shared secret is shorter than 32 bytes", redisstore.ErrUnavailable), "shared secret", false},
		{fmt.Errorf("%w: another type lies under the key of the shared secret", redisstore.ErrUnavailable), "shared secret", false},
		{fmt.Errorf("%w: %w", redisstore.ErrUnavailable, errors.Join(redisstore.ErrFull, reply("OOM command not allowed"))), "OOM", false},
		{errors.New("something else"), "unknown", true},
	} {
		for _, err := range []error{test.err, wrapped{test.err}, fmt.Errorf("first: %w", errors.Join(errors.New("second"), test.err))} {
			fault := redisfault.Explain(err)
			if fault.Code != test.code || fault.Passes != test.passes {
				t.Errorf("%v is explained as %q, %t; want %q, %t", err, fault.Code, fault.Passes, test.code, test.passes)
			}
			if again := redisfault.Explain(wrapped{fault}); again != fault {
				t.Errorf("the fault of %v is explained as %+v; want the fault itself", err, again)
			}
			if !sentences(fault.Wrong) || !sentences(fault.Todo) {
				t.Errorf("%v: not sentences: %q, %q", err, fault.Wrong, fault.Todo)
			}
		}
	}
}

func sentences(text string) bool {
	return len(text) > 10 && text[0] >= 'A' && text[0] <= 'Z' && strings.HasSuffix(text, ".") || strings.HasSuffix(text, ").")
}

// FuzzNoFaultQuotesAnAnswer checks that a fault reveals nothing of what Redis or a library says, except a code.
func FuzzNoFaultQuotesAnAnswer(f *testing.F) {
	const secret = "k3Jd9aQwErTyUiOp"
	for _, seed := range []string{"%s", "ERR %s", "%s foo", "NOPERM %s", "redis: can't parse %q", "ERR unknown command '%s'", "WEIRD %s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, format string) {
		text := strings.ReplaceAll(strings.ReplaceAll(format, "%s", secret), "%q", secret)
		for _, err := range []error{reply(text), errors.New(text), op("dial", errors.New(text))} {
			fault := redisfault.Explain(err)
			if strings.Contains(fmt.Sprintf("%+v", fault), secret) {
				t.Errorf("%q is quoted: %+v", text, fault)
			}
		}
	})
}

// The timeout of a real dial has a different type than that of a read.
func TestAConnectionThatIsNotAcceptedIsATimeout(t *testing.T) {
	dialer := net.Dialer{Timeout: time.Nanosecond}
	_, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	if err == nil {
		t.Fatal("a connection was made")
	}
	if fault := redisfault.Explain(err); fault.Code != "connect timeout" {
		t.Errorf("%v is explained as %q", err, fault.Code)
	}
}
