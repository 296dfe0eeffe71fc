package redistest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantValue checks what is stored, and that c works.
func wantValue(t *testing.T, c redis.Cmdable, key, want string) {
	t.Helper()
	if got, err := c.Get(t.Context(), key).Result(); got != want || err != nil {
		t.Errorf("%s = %q, %v, want %q", key, got, err, want)
	}
}

// failing is a test that notes its failure instead of failing.
type failing struct {
	testing.TB
	failure string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMissingServerFailsTheTestInOneLine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		redistest.Start(f)
	}()
	<-done
	const want = "this test needs a real Redis: redis-server is not installed " +
		"(apt-get install redis-server, or brew install redis)"
	if f.failure != want {
		t.Errorf("failure = %q, want %q", f.failure, want)
	}
}

func TestDataSurvivesKillAndRestart(t *testing.T) {
	s := redistest.Start(t, redistest.AppendOnly(), redistest.Config("maxclients 50"))
	c := redistest.Client(t, s)
	must(t, c.Set(t.Context(), "k", "v", 0).Err())
	s.Kill()
	redistest.Restart(t, s)
	wantValue(t, c, "k", "v")
}

func TestCertificatesAreRefusedForTheReasonAskedFor(t *testing.T) {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	tests := []struct {
		name   string
		kind   redistest.Certificate
		trusts bool // the CA
		as     any  // nil: accepted
	}{
		{"valid", redistest.Valid, true, nil},
		{"valid, unknown CA", redistest.Valid, false, &unknown},
		{"expired", redistest.Expired, true, &invalid},
		{"wrong host", redistest.WrongHost, true, &host},
		{"self-signed", redistest.SelfSigned, false, &unknown},
		{"self-signed, pinned", redistest.SelfSigned, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := redistest.TLSFiles(t, tt.kind)
			s := redistest.Start(t, redistest.TLS(files))
			pool := x509.NewCertPool()
			if tt.trusts {
				pool = files.Pool
			}
			c := redis.NewClient(&redis.Options{
				Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, TLSConfig: &tls.Config{RootCAs: pool},
			})
			defer c.Close()
			err := c.Ping(t.Context()).Err()
			if tt.as == nil && err != nil || tt.as != nil && !errors.As(err, tt.as) {
				t.Errorf("PING: %v, want %T", err, tt.as)
			}
		})
	}
}
