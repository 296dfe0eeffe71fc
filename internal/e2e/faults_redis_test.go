package e2e

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
)

// outage is a way in which Redis can be away.
type outage struct {
	name    string
	begin   func(*testing.T, *setup)
	end     func(*testing.T, *setup)
	reason  string // on the page
	deletes bool   // Redis still takes a DEL, so that a reset works
}

func heal(_ *testing.T, s *setup) { s.proxy.Heal() }

func notHello(args []string) bool { return !strings.EqualFold(args[0], "hello") }

func outages() []outage {
	return []outage{
		{
			name:   "killed",
			begin:  func(_ *testing.T, s *setup) { s.server.Kill() },
			end:    func(t *testing.T, s *setup) { redistest.Restart(t, s.server) },
			reason: "cannot be reached",
		}, {
			name:  "connections refused",
			begin: func(_ *testing.T, s *setup) { s.proxy.Refuse(); s.proxy.Cut() },
			end:   heal, reason: "cannot be reached",
		}, {
			name:  "hung",
			begin: func(t *testing.T, s *setup) { pause(t, s.server) },
			end: func(t *testing.T, s *setup) {
				if err := s.server.Resume(); err != nil {
					t.Fatal(err)
				}
			},
			reason: "did not answer in time",
		}, {
			name:  "requests vanish",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(redistest.Any, redistest.Fate{Lose: true}) },
			end:   heal, reason: "did not answer in time",
		}, {
			name:  "answers vanish",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(redistest.Any, redistest.Fate{Mute: true}) },
			end:   heal, reason: "did not answer in time",
		}, {
			name:  "loading its data",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(notHello, redistest.Fate{Answer: redistest.Loading}) },
			end:   heal, reason: "still loading",
		}, {
			name:   "no connection left",
			begin:  func(t *testing.T, s *setup) { s.do(t, "CONFIG SET maxclients 1"); s.dropClients(t) },
			end:    func(t *testing.T, s *setup) { s.do(t, "CONFIG SET maxclients 1000") },
			reason: "no connection left",
		}, {
			name:    "out of memory",
			begin:   func(t *testing.T, s *setup) { s.do(t, "CONFIG SET maxmemory 1kb") },
			end:     func(t *testing.T, s *setup) { s.do(t, "CONFIG SET maxmemory 0") },
			reason:  "out of memory",
			deletes: true,
		}, {
			name:   "a replica",
			begin:  func(t *testing.T, s *setup) { s.do(t, "REPLICAOF 127.0.0.1 1") },
			end:    func(t *testing.T, s *setup) { s.do(t, "REPLICAOF NO ONE") },
			reason: "is a replica",
		}, {
			name: "another password",
			begin: func(t *testing.T, s *setup) {
				s.do(t, "ACL SETUSER default resetpass >another-password")
				s.dropClients(t)
			},
			end:    func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default resetpass >"+setupPassword) },
			reason: "refuses the password",
		}, {
			name:    "no right to run scripts",
			begin:   func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default -@scripting") },
			end:     func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default +@scripting") },
			reason:  "may not do in Redis what the app needs",
			deletes: true,
		}, {
			name:    "no right to write",
			begin:   func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default -hset") },
			end:     func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default +hset") },
			reason:  "may not do in Redis what the app needs",
			deletes: true,
		},
	}
}

func TestVisitsAreRefusedAndNoneIsLostWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			if got := s.tally.storm(20); got != 20 {
				t.Fatalf("before the fault %d of 20 visits were counted", got)
			}
			o.begin(t, s)
			s.refusesAll(t, o)
			o.end(t, s)
			back := s.tally.recover()
			s.toldOnce(t)
			s.tally.check(o.name, back)
		})
	}
}

// refusesAll proves what is promised while Redis is away, all of it at the same time.
func (s *setup) refusesAll(t *testing.T, o outage) {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		if got := s.tally.storm(atOnce); got != 0 {
			t.Errorf("%d visits were counted", got)
		}
	})
	all.Go(func() {
		if took := s.app.fastestHealth(t); took > maxWait/5 {
			t.Errorf("/healthz takes %v", took)
		}
	})
	all.Wait()
	answer := request(t, s.tally.visitor, http.MethodGet, "/", "Accept", "text/html")
	s.tally.Add(answer, visitor.ErrRefused)
	wantRefusal(t, answer)
	if !strings.Contains(answer.Body, o.reason) {
		t.Errorf("the page does not say %q:\n%s", o.reason, answer.Body)
	}
	answer = s.app.get(t, "/readyz")
	wantRefusal(t, answer)
	if !strings.Contains(answer.Body, o.reason) || answer.Took > maxWait+2*s.tally.busy {
		t.Errorf("/readyz after %v: %s, want %q", answer.Took, answer.Body, o.reason)
	}
	if o.deletes {
		return
	}
	answer = request(t, s.tally.visitor, http.MethodPost, "/reset")
	wantRefusal(t, answer)
	if answer.Took > maxWait+2*s.tally.busy {
		t.Errorf("the reset took %v", answer.Took)
	}
}

// fastestHealth asks whether the process lives, a few times, and returns the shortest wait: what waits for Redis has none
// that is short, and what waits for the test's other requests has.
func (i *instance) fastestHealth(t *testing.T) time.Duration {
	t.Helper()
	fastest := maxWait
	for range 5 {
		answer := i.get(t, "/healthz")
		if answer.Status != http.StatusOK {
			t.Errorf("/healthz: %d", answer.Status)
		}
		fastest = min(fastest, answer.Took)
	}
	return fastest
}

// toldOnce proves that the log tells the fault once, and its end.
func (s *setup) toldOnce(t *testing.T) {
	t.Helper()
	s.app.awaitLine(t, "redis back")
	for message, want := range map[string]int{"redis connected": 1, "redis lost": 1, "redis back": 1} {
		if got := s.app.output.count(message); got != want {
			t.Errorf("the log says %q %d times, want %d:\n%s", message, got, want, s.app.output.withoutRequests())
		}
	}
	for _, attribute := range []string{`"after":`, `"failures":`} {
		if !strings.Contains(s.app.output.String(), attribute) {
			t.Errorf("the log does not say %s", attribute)
		}
	}
}

func TestCountIsExactOverAKillOfRedisUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	var back time.Duration
	s.tally.during(func() {
		s.tally.await(100)
		s.server.Kill()
		s.app.awaitLine(t, "redis lost")
		s.tally.agree()
		redistest.Restart(t, s.server)
		back = s.tally.recover()
		s.tally.await(100)
	})
	s.toldOnce(t)
	s.tally.check("killed and restarted under load", back)
}

func TestStartsWithoutRedisAndCountsWhenItComes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	i := start(t, "REDIS_URL="+server.URL())
	tally := newTally(t, i.url)
	if got := tally.storm(atOnce); got != 0 {
		t.Errorf("without Redis %d visits were counted", got)
	}
	i.awaitLine(t, "redis lost")
	redistest.Restart(t, server)
	back := tally.recover()
	tally.check("down at the start", back)
	i.awaitLine(t, "redis back")
}

// Short troubles are waited out: whoever visits meanwhile notices nothing.
func TestShortTroubleIsNotNoticed(t *testing.T) {
	t.Parallel()
	s := newSetup(t, longTimeout)
	visits := redistest.Named("evalsha", "eval")
	for _, test := range []struct {
		name  string
		begin func(*testing.T)
	}{
		{"loading", func(*testing.T) { s.proxy.Next(4, visits, redistest.Fate{Answer: redistest.Loading}) }},
		{"a replica", func(*testing.T) { s.proxy.Next(4, visits, redistest.Fate{Answer: redistest.ReadOnly}) }},
		{"a master away", func(*testing.T) { s.proxy.Next(4, visits, redistest.Fate{Answer: redistest.MasterDown}) }},
		{"a script forgotten", func(t *testing.T) { s.do(t, "SCRIPT FLUSH") }},
		{"answers lost", func(*testing.T) { s.proxy.Next(4, visits, redistest.Fate{Cut: true}) }},
		{"an answer vanished", func(*testing.T) { s.proxy.Next(1, visits, redistest.Fate{Mute: true}) }},
		{"all connections cut", func(*testing.T) { s.proxy.Cut() }},
		{"half a second of silence", func(t *testing.T) { s.do(t, "CLIENT PAUSE 500 ALL") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			tally := newTally(t, s.app.url)
			tally.visit()
			test.begin(t)
			tally.visit()
			tally.storm(8)
			tally.checkExact("short: " + test.name)
			s.proxy.Heal()
		})
	}
	if got := s.app.output.count("redis lost"); got != 0 {
		t.Errorf("the log says %d times that Redis was lost", got)
	}
}

func TestCountIsExactWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	cuts := 0
	s.tally.during(func() {
		redistest.Wait(t, "visits that are counted though every tenth cuts all connections", func() bool {
			if s.proxy.Seen("EVALSHA") >= 10*cuts {
				s.proxy.Cut()
				cuts++
			}
			return cuts >= 100 && s.tally.Sum().Acknowledged >= 100
		})
	})
	if opened := s.proxy.Seen("HELLO"); opened < cuts {
		t.Errorf("only %d connections were opened, so that hardly one was cut", opened)
	}
	back := s.tally.recover()
	s.tally.check("connections cut by every tenth visit", back)
}

func TestCountIsExactWhileRedisIsSlow(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.proxy.All(redistest.Any, redistest.Fate{Delay: 200 * time.Millisecond})
	for range 3 {
		if !s.tally.visit() {
			t.Error("with Redis slow but alive a visit was refused")
		}
	}
	s.tally.storm(atOnce)
	s.proxy.Heal()
	back := s.tally.recover()
	s.tally.check("answers 200 ms late", back)
}

// The shared secret goes with the data. An instance that comes before the others have put it back makes another one.
func TestInstancesAgreeAfterRedisHasLostItsData(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	old := start(t, "REDIS_URL="+server.URL())
	v := newVisitor(t, old.url)
	visit(t, v)
	before := sessionID(v)
	server.Kill()
	redistest.Restart(t, server)
	fresh := start(t, "REDIS_URL="+server.URL())
	visit(t, newVisitor(t, fresh.url))
	redistest.Wait(t, "the old instance to have Redis back", func() bool { return old.get(t, "/readyz").Status == http.StatusOK })
	count(t, v, 1, 4, old, fresh)
	if sessionID(v) == before {
		t.Error("a session that is gone is taken up again under its old id")
	}
}

func TestNothingIsHalfWrittenByAFullRedis(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	key := sessionKey(s.tally.visitor)
	before := s.admin.HGetAll(t.Context(), key).Val()
	s.do(t, "CONFIG SET maxmemory 1kb")
	s.tally.storm(20)
	wantRefusal(t, s.app.get(t, "/")) // a first visit
	if after := s.admin.HGetAll(t.Context(), key).Val(); len(before) == 0 || !maps.Equal(before, after) {
		t.Errorf("the session was %v and is %v", before, after)
	}
	if keys := s.admin.DBSize(t.Context()).Val(); keys != 2 {
		t.Errorf("there are %d keys, want the session and the shared secret", keys)
	}
	answer := request(t, s.tally.visitor, http.MethodPost, "/reset")
	if answer.Status != http.StatusSeeOther || s.admin.Exists(t.Context(), key).Val() != 0 {
		t.Errorf("a full Redis can still forget, but the reset was answered with %d", answer.Status)
	}
}

func TestADatabaseThatRedisDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	i := start(t, "REDIS_URL="+redistest.Start(t).URL()+"/99")
	for _, path := range []string{"/", "/readyz"} {
		answer := i.get(t, path)
		wantRefusal(t, answer)
		if !strings.Contains(answer.Body, "no database of that number") {
			t.Errorf("%s: %s", path, answer.Body)
		}
	}
}

// A server that loads much answers late, and then with LOADING.
func TestCountIsExactOverALongLoad(t *testing.T) {
	t.Parallel()
	server := redistest.StartWith(t, redisserver.Options{AppendOnly: true, Config: []string{"key-load-delay 100"}})
	i := start(t, "REDIS_URL="+server.URL())
	tally := newTally(t, i.url)
	tally.visit()
	fill := redistest.Client(t, server).Pipeline()
	for n := range 30_000 {
		fill.Set(t.Context(), "other:"+strconv.Itoa(n), "", time.Hour)
	}
	if _, err := fill.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	var restart sync.WaitGroup
	restart.Go(func() { redistest.Restart(t, server) })
	redistest.Wait(t, "an answer of a Redis that loads its data", func() bool {
		tally.visit()
		return strings.Contains(i.get(t, "/readyz").Body, "still loading")
	})
	tally.storm(atOnce)
	restart.Wait()
	back := tally.recover()
	tally.check("a long load after a kill", back)
}
