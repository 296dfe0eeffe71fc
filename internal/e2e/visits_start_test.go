package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// internal/config proves the message for each mistake.
func TestMistakesStopTheStart(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-pass-word"
	keepSecret(t, "a password", password)
	cmd := program(t, "PORT=http", "SESSION_TTL=a day", "SESSION_SECRET=short", "INSTANCE=web\n1", "COOKIE_NAME=a\r\nInjected: 1",
		"REDIS_URL=redis://user:"+password+"@host:99999999/%zz")
	must(t, os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte("LOG_LEVEL=info\nthis is no setting\n"), 0o600))
	launch(t, cmd).wantNoStart(t, ".env", "line 2", "PORT", "SESSION_TTL", "SESSION_SECRET", "INSTANCE", "COOKIE_NAME", "REDIS_URL")
}

func TestPortInUseIsSaidClearly(t *testing.T) {
	t.Parallel()
	first, err := url.Parse(start(t, "SESSION_STORE=memory").url)
	must(t, err)
	launch(t, program(t, "SESSION_STORE=memory", "PORT="+first.Port())).wantNoStart(t, "PORT "+first.Port())
}

func TestMemoryCountsAndSaysSoLoudly(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	v := newVisitor(t, i.url)
	count(t, v, 3, i)
	if store := visit(t, v).Store; store != "memory" {
		t.Errorf("the store is %q", store)
	}
	for _, part := range []string{"IN MEMORY ONLY", "unset SESSION_STORE=memory"} {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("the log does not say %q:\n%s", part, i.output.String())
		}
	}
}
