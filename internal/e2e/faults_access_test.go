package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

func TestOnlyATrustedRedisIsTalkedTo(t *testing.T) {
	t.Parallel()
	var (
		ca      = redistest.NewCA(t)
		valid   = ca.Issue(t)
		expired = ca.IssueExpired(t)
		own     = redistest.SelfSigned(t)
		other   = redistest.NewCA(t).Issue(t, "redis.invalid")
	)
	plain := redistest.Start(t)
	for _, test := range []struct {
		name   string
		server redistest.Target
		scheme string
		env    string
		says   string // "" if it works
	}{
		{"CA in a file", redistest.StartWith(t, redisserver.Options{TLS: valid}), "rediss", "REDIS_TLS_CA=" + valid.CAFile, ""},
		{"CA as text", redistest.StartWith(t, redisserver.Options{TLS: valid}), "rediss", "REDIS_TLS_CA=" + readFile(t, valid.CAFile), ""},
		{"unknown CA", redistest.StartWith(t, redisserver.Options{TLS: valid}), "rediss", "", "is not trusted"},
		{"another CA", redistest.StartWith(t, redisserver.Options{TLS: valid}), "rediss", "REDIS_TLS_CA=" + other.CAFile, "is not trusted"},
		{"another host", redistest.StartWith(t, redisserver.Options{TLS: other}), "rediss", "REDIS_TLS_CA=" + other.CAFile, "is for another host"},
		{"expired", redistest.StartWith(t, redisserver.Options{TLS: expired}), "rediss", "REDIS_TLS_CA=" + expired.CAFile, "is not trusted"},
		{"self-signed", redistest.StartWith(t, redisserver.Options{TLS: own}), "rediss", "", "is not trusted"},
		{"self-signed, not verified", redistest.StartWith(t, redisserver.Options{TLS: own}), "rediss", "REDIS_TLS_VERIFY=false", ""},
		{"plain text to TLS", redistest.StartWith(t, redisserver.Options{TLS: valid}), "redis", "", "whether it wants TLS"},
		{"TLS to plain text", plain, "rediss", "", "whether it wants TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := start(t, "REDIS_URL="+test.scheme+"://"+test.server.Addr(), test.env)
			visitor := newBrowser(t)
			if test.says == "" {
				if got := visitor.visit(t, i.url).Visits + visitor.visit(t, i.url).Visits; got != 1+2 {
					t.Error("two visits are not number 1 and 2")
				}
				return
			}
			for _, path := range []string{"/", "/readyz"} {
				redistest.Wait(t, path+" to say that Redis "+test.says, func() bool {
					answer := visitor.do(t, http.MethodGet, i.url+path)
					refused(t, answer)
					return strings.Contains(answer.body, test.says)
				})
			}
			if keys := redistest.Client(t, test.server).DBSize(t.Context()).Val(); keys != 0 {
				t.Errorf("%d keys were written", keys)
			}
		})
	}
}

func TestPasswordMayHaveEveryCharacter(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := redistest.Client(t, server)
	for _, test := range []struct{ user, password string }{
		{"visits", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
		{"visits", "100%25 sure? @:/ and a blank at the end "},
		{"visits", "pässwörd-日本語-🔑"},
		{"a:b@c/d%e", "user@host:6379/0"},
	} {
		t.Run(test.password, func(t *testing.T) {
			everything.secret("a password", test.password)
			if err := admin.Do(t.Context(), "ACL", "SETUSER", test.user, "reset", "on", ">"+test.password, "~visits:*", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			address := url.URL{Scheme: "redis", Host: server.Addr(), User: url.UserPassword(test.user, test.password)}
			i := start(t, "REDIS_URL="+address.String())
			visitor := newBrowser(t)
			if got := visitor.visit(t, i.url).Visits; got != 1 {
				t.Errorf("the first visit is number %d", got)
			}
		})
	}
}
