package e2e

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// rig is one instance with a Redis that can be broken in every way.
type rig struct {
	server *redisserver.Server
	proxy  *redistest.Proxy // between the instance and the server
	admin  *redis.Client    // past the proxy
	app    *instance
}

const rigPassword = "p4ss-of-the-rig"

// newRig starts a Redis that keeps its data over a kill, and an instance.
func newRig(t testing.TB) *rig {
	t.Helper()
	everything.secret("a password", rigPassword)
	r := &rig{server: redistest.StartWith(t, redisserver.Options{AppendOnly: true, Fsync: "always", Password: rigPassword})}
	r.proxy = redistest.NewProxy(t, r.server)
	r.admin = redistest.Client(t, r.server)
	r.app = start(t, "REDIS_URL="+r.proxy.URL())
	r.app.awaitLine(t, "redis connected")
	return r
}

// do runs commands on the server, each given as words with blanks between.
func (r *rig) do(t testing.TB, commands ...string) {
	t.Helper()
	for _, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := r.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%s: %v", args[0], err)
		}
	}
}

// dropClients makes the server close all connections but the test's own.
func (r *rig) dropClients(t testing.TB) {
	t.Helper()
	r.do(t, "CLIENT KILL TYPE normal SKIPME yes")
}

// absence is a way in which Redis can be away.
type absence struct {
	name    string
	begin   func(*testing.T, *rig)
	end     func(*testing.T, *rig)
	says    string // the reason on the page
	deletes bool   // Redis still takes a DEL, so that a reset works
}

func heal(_ *testing.T, r *rig) { r.proxy.Heal() }

func notHello(args []string) bool { return !strings.EqualFold(args[0], "hello") }

func absences() []absence {
	return []absence{
		{
			name:  "killed",
			begin: func(_ *testing.T, r *rig) { r.server.Kill() },
			end:   func(t *testing.T, r *rig) { redistest.Restart(t, r.server) },
			says:  "cannot be reached",
		}, {
			name:  "connections refused",
			begin: func(_ *testing.T, r *rig) { r.proxy.Refuse(); r.proxy.Cut() },
			end:   heal, says: "cannot be reached",
		}, {
			name:  "hung",
			begin: func(t *testing.T, r *rig) { pause(t, r.server) },
			end: func(t *testing.T, r *rig) {
				if err := r.server.Resume(); err != nil {
					t.Fatal(err)
				}
			},
			says: "did not answer in time",
		}, {
			name:  "requests vanish",
			begin: func(_ *testing.T, r *rig) { r.proxy.All(redistest.Any, redistest.Fate{Lose: true}) },
			end:   heal, says: "did not answer in time",
		}, {
			name:  "answers vanish",
			begin: func(_ *testing.T, r *rig) { r.proxy.All(redistest.Any, redistest.Fate{Mute: true}) },
			end:   heal, says: "did not answer in time",
		}, {
			name:  "loading its data",
			begin: func(_ *testing.T, r *rig) { r.proxy.All(notHello, redistest.Fate{Answer: redistest.Loading}) },
			end:   heal, says: "still loading",
		}, {
			name:  "no connection left",
			begin: func(t *testing.T, r *rig) { r.do(t, "CONFIG SET maxclients 1"); r.dropClients(t) },
			end:   func(t *testing.T, r *rig) { r.do(t, "CONFIG SET maxclients 1000") },
			says:  "no connection left",
		}, {
			name:    "out of memory",
			begin:   func(t *testing.T, r *rig) { r.do(t, "CONFIG SET maxmemory 1kb") },
			end:     func(t *testing.T, r *rig) { r.do(t, "CONFIG SET maxmemory 0") },
			says:    "out of memory",
			deletes: true,
		}, {
			name:  "a replica",
			begin: func(t *testing.T, r *rig) { r.do(t, "REPLICAOF 127.0.0.1 1") },
			end:   func(t *testing.T, r *rig) { r.do(t, "REPLICAOF NO ONE") },
			says:  "is a replica",
		}, {
			name: "another password",
			begin: func(t *testing.T, r *rig) {
				r.do(t, "ACL SETUSER default resetpass >another-password")
				r.dropClients(t)
			},
			end:  func(t *testing.T, r *rig) { r.do(t, "ACL SETUSER default resetpass >"+rigPassword) },
			says: "refuses the password",
		},
	}
}

func TestVisitsAreRefusedAndNoneIsLostWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, a := range absences() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			y := newTally(t, r.app.url)
			y.visit()
			if got := y.storm(20); got != 20 {
				t.Fatalf("before the fault %d of 20 visits were counted", got)
			}
			id := y.id()
			a.begin(t, r)
			r.refusesAll(t, a, y)
			a.end(t, r)
			back := y.recover(id)
			r.saidOnce(t)
			y.prove(a.name, back)
		})
	}
}

// refusesAll proves what is promised while Redis is away, all of it at the same time.
func (r *rig) refusesAll(t *testing.T, a absence, y *tally) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := y.storm(atOnce); got != 0 {
			t.Errorf("%d visits were counted", got)
		}
	})
	wg.Go(func() {
		if took := r.app.fastestHealth(t); took > patience/5 {
			t.Errorf("/healthz takes %v", took)
		}
	})
	wg.Wait()
	answer := y.visitor.do(t, http.MethodGet, r.app.url+"/")
	refused(t, answer)
	if !strings.Contains(answer.body, a.says) {
		t.Errorf("the page does not say %q:\n%s", a.says, answer.body)
	}
	y.sent++
	answer = newBrowser(t).do(t, http.MethodGet, r.app.url+"/readyz")
	refused(t, answer)
	if !strings.Contains(answer.body, a.says) || answer.took > patience {
		t.Errorf("/readyz after %v: %s, want %q", answer.took, answer.body, a.says)
	}
	if a.deletes {
		return
	}
	answer = y.visitor.do(t, http.MethodPost, r.app.url+"/reset")
	refused(t, answer)
	if answer.took > patience {
		t.Errorf("the reset took %v", answer.took)
	}
}

// fastestHealth asks whether the process lives, a few times, and returns the shortest wait: what waits for Redis has none
// that is short, and what waits for the test's other requests has.
func (i *instance) fastestHealth(t *testing.T) time.Duration {
	t.Helper()
	fastest := patience
	for range 5 {
		answer := newBrowser(t).do(t, http.MethodGet, i.url+"/healthz")
		if answer.status != http.StatusOK {
			t.Errorf("/healthz: %d", answer.status)
		}
		fastest = min(fastest, answer.took)
	}
	return fastest
}

// saidOnce proves that the log tells the fault once, and its end.
func (r *rig) saidOnce(t *testing.T) {
	t.Helper()
	r.app.awaitLine(t, "redis back")
	for message, want := range map[string]int{"redis connected": 1, "redis lost": 1, "redis back": 1} {
		if got := r.app.output.count(message); got != want {
			t.Errorf("the log says %q %d times, want %d:\n%s", message, got, want, r.app.said())
		}
	}
	for _, attribute := range []string{`"after":`, `"failures":`} {
		if !strings.Contains(r.app.output.String(), attribute) {
			t.Errorf("the log does not say %s", attribute)
		}
	}
}

func TestCountIsExactOverAKillOfRedisUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	y := newTally(t, r.app.url)
	y.visit()
	id := y.id()
	var back time.Duration
	y.during(func() {
		y.acknowledged(100)
		r.server.Kill()
		r.app.awaitLine(t, "redis lost")
		redistest.Restart(t, r.server)
		back = y.recover(id)
		y.acknowledged(100)
	})
	r.saidOnce(t)
	y.prove("killed and restarted under load", back)
}

func TestStartsWithoutRedisAndCountsWhenItComes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	i := start(t, "REDIS_URL="+server.URL())
	y := newTally(t, i.url)
	if got := y.storm(atOnce); got != 0 {
		t.Errorf("without Redis %d visits were counted", got)
	}
	refused(t, newBrowser(t).do(t, http.MethodGet, i.url+"/readyz"))
	i.awaitLine(t, "redis lost")
	redistest.Restart(t, server)
	began := time.Now()
	redistest.Wait(t, "a visit to be counted", y.visit)
	y.prove("down at the start", time.Since(began))
	i.awaitLine(t, "redis back")
}

// Short troubles are waited out: whoever visits meanwhile notices nothing.
func TestShortTroubleIsNotNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	visits := redistest.Named("evalsha", "eval")
	for _, test := range []struct {
		name  string
		begin func(*testing.T)
	}{
		{"loading", func(*testing.T) { r.proxy.Next(4, visits, redistest.Fate{Answer: redistest.Loading}) }},
		{"a replica", func(*testing.T) { r.proxy.Next(4, visits, redistest.Fate{Answer: redistest.ReadOnly}) }},
		{"a master away", func(*testing.T) { r.proxy.Next(4, visits, redistest.Fate{Answer: redistest.MasterDown}) }},
		{"a script forgotten", func(t *testing.T) { r.do(t, "SCRIPT FLUSH") }},
		{"answers lost", func(*testing.T) { r.proxy.Next(4, visits, redistest.Fate{Cut: true}) }},
		{"an answer vanished", func(*testing.T) { r.proxy.Next(1, visits, redistest.Fate{Mute: true}) }},
		{"all connections cut", func(*testing.T) { r.proxy.Cut() }},
		{"half a second of silence", func(t *testing.T) { r.do(t, "CLIENT PAUSE 500 ALL") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			y := newTally(t, r.app.url)
			y.visit()
			test.begin(t)
			if !y.visit() {
				t.Error("the visit was refused")
			}
			if got := y.storm(8); got != 8 {
				t.Errorf("%d of 8 visits were counted", got)
			}
			y.prove("short: "+test.name, 0)
			y.lostNone()
			r.proxy.Heal()
		})
	}
	if got := r.app.output.count("redis lost"); got != 0 {
		t.Errorf("the log says %d times that Redis was lost", got)
	}
}

func TestCountIsExactWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	y := newTally(t, r.app.url)
	y.visit()
	id := y.id()
	ctx, stop := context.WithCancel(t.Context())
	var cutter sync.WaitGroup
	cutter.Go(func() {
		for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; <-tick {
			r.proxy.Cut()
		}
	})
	for range 5 {
		y.storm(40)
	}
	stop()
	cutter.Wait()
	if opened := r.proxy.Seen("HELLO"); opened < 20 {
		t.Errorf("only %d connections were opened, so that hardly one was cut", opened)
	}
	back := y.recover(id)
	y.prove("connections cut every 5 ms", back)
	if y.acked < y.sent/2 {
		t.Errorf("of %d visits only %d were acknowledged", y.sent, y.acked)
	}
}

func TestCountIsExactWhileRedisIsSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	y := newTally(t, r.app.url)
	y.visit()
	id := y.id()
	r.proxy.All(redistest.Any, redistest.Fate{Delay: 300 * time.Millisecond})
	for range 3 {
		if !y.visit() {
			t.Error("with Redis slow but alive a visit was refused")
		}
	}
	y.storm(atOnce)
	r.proxy.Heal()
	back := y.recover(id)
	y.prove("answers 300 ms late", back)
}

func TestForgottenScriptsAreNotNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	y := newTally(t, r.app.url)
	y.visit()
	y.during(func() {
		for range 20 {
			r.do(t, "SCRIPT FLUSH")
			y.acknowledged(5)
		}
	})
	y.prove("scripts forgotten 20 times under load", 0)
	y.lostNone()
}

func TestPasswordMayBeCorrectedWithoutARestart(t *testing.T) {
	t.Parallel()
	everything.secret("a password", "right-p4ssword")
	everything.secret("a password", "wrong-p4ssword")
	server := redistest.StartWith(t, redisserver.Options{Password: "right-p4ssword"})
	i := start(t, "REDIS_URL="+strings.Replace(server.URL(), "right", "wrong", 1))
	y := newTally(t, i.url)
	if got := y.storm(atOnce); got != 0 {
		t.Errorf("with a wrong password %d visits were counted", got)
	}
	answer := y.visitor.do(t, http.MethodGet, i.url+"/readyz")
	if !strings.Contains(answer.body, "refuses the password") {
		t.Errorf("/readyz: %s", answer.body)
	}
	redistest.Client(t, server).Do(t.Context(), "ACL", "SETUSER", "default", ">wrong-p4ssword")
	began := time.Now()
	redistest.Wait(t, "a visit to be counted", y.visit)
	y.prove("wrong password at the start", time.Since(began))
}

func TestRedisWithoutItsDataStartsNewSessionsOnAllInstances(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := start(t, "REDIS_URL="+server.URL()), start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.visit(t, one.url)
	visitor.visit(t, two.url)
	before := visitor.cookie(t, one.url)
	server.Kill()
	redistest.Restart(t, server)
	began := time.Now()
	redistest.Wait(t, "a visit to be counted", func() bool { _, _, ok := visitor.tryVisit(t, one.url); return ok })
	back := time.Since(began)
	if visitor.cookie(t, one.url)[:27] == before[:27] {
		t.Error("a session that is gone is taken up again under its old id")
	}
	visitor.count(t, 2, 5, one, two)
	t.Logf("figures | %-36s | back after %6s", "restarted empty", back.Round(time.Millisecond))
}

// The shared secret goes with the data. An instance that comes before the others have put it back makes another one.
func TestInstancesAgreeOnASecretAfterRedisHasLostIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	old := start(t, "REDIS_URL="+server.URL())
	newBrowser(t).visit(t, old.url)
	server.Kill()
	redistest.Restart(t, server)
	fresh := start(t, "REDIS_URL="+server.URL())
	visitor := newBrowser(t)
	visitor.visit(t, fresh.url)
	redistest.Wait(t, "the old instance to have Redis back", func() bool {
		return newBrowser(t).do(t, http.MethodGet, old.url+"/readyz").status == http.StatusOK
	})
	visitor.count(t, 2, 5, old, fresh)
}

func TestNothingIsHalfWrittenByAFullRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	y := newTally(t, r.app.url)
	y.visit()
	key := r.admin.Keys(t.Context(), "visits:session:*").Val()[0]
	before := r.admin.HGetAll(t.Context(), key).Val()
	r.do(t, "CONFIG SET maxmemory 1kb")
	y.storm(20)
	refused(t, newBrowser(t).do(t, http.MethodGet, r.app.url+"/")) // a first visit
	if after := r.admin.HGetAll(t.Context(), key).Val(); !maps.Equal(before, after) {
		t.Errorf("the session was %v and is %v", before, after)
	}
	if keys := r.admin.DBSize(t.Context()).Val(); keys != 2 {
		t.Errorf("there are %d keys, want the session and the shared secret", keys)
	}
	answer := y.visitor.do(t, http.MethodPost, r.app.url+"/reset")
	if answer.status != http.StatusSeeOther || r.admin.Exists(t.Context(), key).Val() != 0 {
		t.Errorf("a full Redis can still forget, but the reset was answered with %d", answer.status)
	}
}

func TestADatabaseThatRedisDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL()+"/99")
	for _, path := range []string{"/", "/readyz"} {
		answer := newBrowser(t).do(t, http.MethodGet, i.url+path)
		refused(t, answer)
		if !strings.Contains(answer.body, "no database of that number") {
			t.Errorf("%s: %s", path, answer.body)
		}
	}
}

// A server that loads much answers late, and then with LOADING.
func TestCountIsExactOverALongLoad(t *testing.T) {
	t.Parallel()
	server := redistest.StartWith(t, redisserver.Options{AppendOnly: true, Fsync: "always", Config: []string{"key-load-delay 100"}})
	i := start(t, "REDIS_URL="+server.URL())
	y := newTally(t, i.url)
	y.visit()
	id := y.id()
	fill := redistest.Client(t, server).Pipeline()
	for n := range 12000 {
		fill.Set(t.Context(), "other:"+strconv.Itoa(n), "", time.Hour)
	}
	if _, err := fill.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	var wg sync.WaitGroup
	wg.Go(func() { redistest.Restart(t, server) })
	redistest.Wait(t, "an answer of a Redis that loads its data", func() bool {
		y.visit()
		return strings.Contains(newBrowser(t).do(t, http.MethodGet, i.url+"/readyz").body, "still loading")
	})
	y.storm(atOnce)
	wg.Wait()
	back := y.recover(id)
	y.prove("a long load after a kill", back)
}
