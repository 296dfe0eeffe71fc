package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

// What Redis must allow the app's user, as ACL SETUSER takes it; clusterRules is what the nodes of a Cluster must allow
// besides.
const (
	aclRules     = "~visits:* +evalsha +eval +hgetall +hset +hdel +pexpire +pttl +time +del +get +set"
	clusterRules = "+cluster|slots +asking +ping"
)

// allow makes a user "visits" who may do what the rules say and nothing else.
func allow(t testing.TB, admin *redis.Client, password, rules string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", "visits", "reset", "on", ">" + password}
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestUserNeedsOnlyTheseCommands(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := redistest.Client(t, server)
	const password = "p4ss-of-the-user"
	everything.secret("a password", password)
	allow(t, admin, password, aclRules)
	i := start(t, "REDIS_URL=redis://visits:"+password+"@"+server.Addr())
	visitor := newBrowser(t)
	visitor.visit(t, i.url)
	visitor.visit(t, i.url)
	if answer := visitor.do(t, http.MethodGet, i.url+"/readyz"); answer.status != http.StatusOK {
		t.Errorf("/readyz: %s", answer.body)
	}
	key := admin.Keys(t.Context(), "visits:session:*").Val()[0]
	admin.HSet(t.Context(), key, "visits", "damaged")
	if got := visitor.visit(t, i.url).Visits; got != 1 {
		t.Errorf("the visit after the damage is number %d", got)
	}
	if answer := visitor.do(t, http.MethodPost, i.url+"/reset"); answer.status != http.StatusSeeOther {
		t.Errorf("reset: %d %s", answer.status, answer.body)
	}
	if got := visitor.visit(t, i.url).Visits; got != 1 {
		t.Errorf("the visit after the reset is number %d", got)
	}
	if log := admin.ACLLog(t.Context(), 10).Val(); len(log) != 0 {
		t.Errorf("Redis denied %v", log)
	}
	t.Run("a user with less is told so", func(t *testing.T) {
		admin.Do(t.Context(), "ACL", "SETUSER", "visits", "-evalsha")
		answer := visitor.do(t, http.MethodGet, i.url+"/")
		refused(t, answer)
		if !strings.Contains(answer.body, "does not permit") {
			t.Errorf("the page:\n%s", answer.body)
		}
	})
}

func TestUserOfAClusterNeedsOnlyTheseCommands(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2, 0)
	const password = "p4ss-of-the-cluster"
	everything.secret("a password", password)
	for _, n := range c.Nodes {
		allow(t, redistest.Client(t, n), password, aclRules+" "+clusterRules)
	}
	i := start(t, "REDIS_URL="+strings.Replace(c.URL(), "redis://", "redis://visits:"+password+"@", 1))
	y := newTally(t, i.url)
	y.visit()
	if answer := y.visitor.do(t, http.MethodGet, i.url+"/readyz"); answer.status != http.StatusOK {
		t.Errorf("/readyz: %s", answer.body)
	}
	key := "visits:session:" + y.id()
	to := c.Nodes[0]
	if to == c.MasterOf(key) {
		to = c.Nodes[1]
	}
	m := c.Migrate(key, to)
	m.MoveKeys(1)
	if !y.visit() {
		t.Error("a visit to a slot that moves was refused")
	}
	m.Finish()
	if !y.visit() {
		t.Error("a visit to a slot that has moved was refused")
	}
	if answer := y.visitor.do(t, http.MethodPost, i.url+"/reset"); answer.status != http.StatusSeeOther {
		t.Errorf("reset: %d %s", answer.status, answer.body)
	}
}
