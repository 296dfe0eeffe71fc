package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

func TestOnlyATrustedRedisIsTalkedTo(t *testing.T) {
	t.Parallel()
	ca := redistest.NewCA(t)
	server := redistest.StartWith(t, redisserver.Options{TLS: ca.Issue(t)})
	trusting := start(t, "REDIS_URL="+server.URL(), "REDIS_TLS_CA="+ca.PEM)
	tally := newTally(t, trusting.url)
	tally.visit()
	tally.checkExact("a Redis of a known authority")

	wary := start(t, "REDIS_URL="+server.URL())
	for _, path := range []string{"/", "/readyz"} {
		redistest.Wait(t, path+" to say why this Redis is not trusted", func() bool {
			answer := wary.get(t, path)
			wantRefusal(t, answer)
			return strings.Contains(answer.Body, "is not trusted")
		})
	}
	newTally(t, wary.url).agree()
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
			keepSecret(t, "a password", test.password)
			if err := admin.Do(t.Context(), "ACL", "SETUSER", test.user, "reset", "on", ">"+test.password, "~visits:*", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			address := url.URL{Scheme: "redis", Host: server.Addr(), User: url.UserPassword(test.user, test.password)}
			i := start(t, "REDIS_URL="+address.String())
			count(t, newVisitor(t, i.url), 1, 1, i)
		})
	}
}

func TestPasswordMayBeCorrectedWithoutARestart(t *testing.T) {
	t.Parallel()
	keepSecret(t, "a password", "right-p4ssword")
	keepSecret(t, "a password", "wrong-p4ssword")
	server := redistest.StartWith(t, redisserver.Options{Password: "right-p4ssword"})
	i := start(t, "REDIS_URL="+strings.Replace(server.URL(), "right", "wrong", 1))
	tally := newTally(t, i.url)
	if got := tally.storm(atOnce); got != 0 {
		t.Errorf("with a wrong password %d visits were counted", got)
	}
	if body := i.get(t, "/readyz").Body; !strings.Contains(body, "refuses the password") {
		t.Errorf("/readyz: %s", body)
	}
	redistest.Client(t, server).Do(t.Context(), "ACL", "SETUSER", "default", ">wrong-p4ssword")
	back := tally.recover()
	tally.check("wrong password at the start", back)
}

func TestUserNeedsOnlyTheseCommands(t *testing.T) {
	t.Parallel()
	const password = "p4ss-of-the-user"
	keepSecret(t, "a password", password)
	server := redistest.Start(t)
	admin := redistest.Client(t, server)
	setUser := func(rules string) {
		args := []any{"ACL", "SETUSER", "visits"}
		for rule := range strings.FieldsSeq(rules) {
			args = append(args, rule)
		}
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	setUser("on >" + password + " " + strings.ReplaceAll(redisstore.Rights, redisstore.DefaultPrefix, "visits:"))
	i := start(t, "REDIS_URL=redis://visits:"+password+"@"+server.Addr())
	tally := newTally(t, i.url)
	tally.visit()
	tally.checkExact("a user with few rights")
	v := tally.visitor
	admin.HSet(t.Context(), sessionKey(v), "visits", "damaged")
	count(t, v, 1, 1, i)
	if answer := request(t, v, http.MethodPost, "/reset"); answer.Status != http.StatusSeeOther {
		t.Errorf("reset: %d %s", answer.Status, answer.Body)
	}
	count(t, v, 1, 1, i)
	if log := admin.ACLLog(t.Context(), 10).Val(); len(log) != 0 {
		t.Errorf("Redis denied %v", log)
	}
	setUser("-evalsha")
	answer := request(t, v, http.MethodGet, "/")
	wantRefusal(t, answer)
	if !strings.Contains(answer.Body, "may not do in Redis what the app needs") {
		t.Errorf("a user with less is told: %s", answer.Body)
	}
}
