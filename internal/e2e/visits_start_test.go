package e2e

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

// What each mistake is answered with is proven in internal/config.
func TestMistakesStopTheStart(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-pass-word"
	keepSecret(t, "a password", password)
	launch(t, program(t, "PORT=http", "SESSION_TTL=a day", "SESSION_SECRET=short", "INSTANCE=web\n1", "COOKIE_NAME=a\r\nInjected: 1",
		"REDIS_URL=redis://user:"+password+"@host:99999999/%zz")).
		wantNoStart(t, "PORT", "SESSION_TTL", "SESSION_SECRET", "INSTANCE", "COOKIE_NAME", "REDIS_URL")
}

func TestPortInUseIsSaidClearly(t *testing.T) {
	t.Parallel()
	first, err := url.Parse(start(t, "SESSION_STORE=memory").url)
	if err != nil {
		t.Fatal(err)
	}
	launch(t, program(t, "SESSION_STORE=memory", "PORT="+first.Port())).wantNoStart(t, "PORT "+first.Port())
}

func TestBrokenDotenvStopsTheStartBesideOtherMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  []string
		want []string
		read bool // .env is
	}{
		{"alone", nil, []string{"line 2"}, true},
		{"beside another mistake", []string{"SESSION_TTL=soon"}, []string{"line 2", "SESSION_TTL"}, true},
		{"on a platform it is not read", []string{"DYNO=web.1", "SESSION_TTL=soon"}, []string{"SESSION_TTL"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := program(t, test.env...)
			if err := os.WriteFile(cmd.Dir+"/.env", []byte("PORT=8080\nthis is no setting\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			i := launch(t, cmd)
			i.wantNoStart(t, test.want...)
			if said := strings.Contains(i.output.String(), ".env"); said != test.read {
				t.Errorf(".env is named: %t\n%s", said, i.output.String())
			}
		})
	}
}

func TestMemoryCountsAndSaysSoLoudly(t *testing.T) {
	t.Parallel()
	i := start(t, "SESSION_STORE=memory")
	v := newVisitor(t, i.url)
	count(t, v, 1, 3, i)
	if store := visit(t, v).Store; store != "memory" {
		t.Errorf("the store is %q", store)
	}
	for _, part := range []string{"IN MEMORY ONLY", "unset SESSION_STORE=memory"} {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("the log does not say %q:\n%s", part, i.output.String())
		}
	}
}
