package e2e

import (
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

// outage is a way in which Redis can be unavailable.
type outage struct {
	name    string
	begin   func(*testing.T, *setup)
	end     func(*testing.T, *setup)
	reason  string // on the page
	silent  bool   // Redis does not answer at all
	deletes bool   // Redis still accepts a DEL, so that a reset works
}

// timeout is the app's REDIS_TIMEOUT: the default for a silent Redis, for which every visit waits that long. It is longer
// for a Redis that answers with an error, so that a busy machine does not turn the error into a timeout.
func (o outage) timeout() time.Duration {
	if o.silent {
		return defaultTimeout
	}
	return 3 * defaultTimeout
}

func heal(_ *testing.T, s *setup) { s.proxy.Heal() }

func notHello(args []string) bool { return !strings.EqualFold(args[0], "hello") }

var killed = outage{
	name:   "killed",
	begin:  func(_ *testing.T, s *setup) { s.server.Kill() },
	end:    func(t *testing.T, s *setup) { redistest.Restart(t, s.server) },
	reason: "cannot be reached",
}

var anotherPassword = outage{
	name: "another password",
	begin: func(t *testing.T, s *setup) {
		s.do(t, "ACL SETUSER default resetpass >another-password", dropClients)
	},
	end:    func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default resetpass >"+setupPassword) },
	reason: "rejects the password",
}

func outages() []outage {
	return []outage{
		killed,
		anotherPassword,
		{
			name:  "connections refused",
			begin: func(_ *testing.T, s *setup) { s.proxy.Refuse() },
			end:   heal, reason: "cannot be reached",
		}, {
			name:   "hung",
			begin:  func(t *testing.T, s *setup) { must(t, s.server.Pause()) },
			end:    func(t *testing.T, s *setup) { must(t, s.server.Resume()) },
			reason: "did not answer in time", silent: true,
		}, {
			name:  "requests vanish",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(redistest.Any, redistest.Fate{Lose: true}) },
			end:   heal, reason: "did not answer in time", silent: true,
		}, {
			name:  "answers vanish",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(redistest.Any, redistest.Fate{Mute: true}) },
			end:   heal, reason: "did not answer in time", silent: true,
		}, {
			name:  "loading its data",
			begin: func(_ *testing.T, s *setup) { s.proxy.All(notHello, redistest.Fate{Answer: redistest.Loading}) },
			end:   heal, reason: "still loading",
		}, {
			name:   "no connection left",
			begin:  func(t *testing.T, s *setup) { s.do(t, "CONFIG SET maxclients 1", dropClients) },
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
			name:    "no right to run scripts",
			begin:   func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default -@scripting") },
			end:     func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default +@scripting") },
			reason:  "lacks permissions that the app needs",
			deletes: true,
		}, {
			name:    "no right to write",
			begin:   func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default -hset") },
			end:     func(t *testing.T, s *setup) { s.do(t, "ACL SETUSER default +hset") },
			reason:  "lacks permissions that the app needs",
			deletes: true,
		},
	}
}

func TestVisitsAreRefusedAndNoneIsLostWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, o.timeout())
			s.tally.storm(20)
			lost := s.app.awaitRedis(t)
			o.begin(t, s)
			s.refusesAll(t, o)
			s.app.awaitLog(t, "redis lost", lost+1)
			o.end(t, s)
			back := s.tally.recover()
			s.toldOnce(t, lost)
			s.tally.check(o.name, back)
		})
	}
}

// refusesAll proves the promises for the time while Redis is away.
func (s *setup) refusesAll(t *testing.T, o outage) {
	t.Helper()
	refused := make(chan struct{})
	go func() {
		defer close(refused)
		if got := s.tally.storm(atOnce); got != 0 {
			t.Errorf("%d visits were counted", got)
		}
	}()
	if took := s.app.fastestHealth(t, refused); took > maxHealthWait {
		t.Errorf("/healthz takes %v", took)
	}
	v := s.tally.visitor
	page := request(t, v, http.MethodGet, "/", "Accept", "text/html")
	s.tally.Add(page, visitor.ErrRefused)
	answers := map[string]visitor.Answer{"the page": page, "/readyz": s.app.get(t, "/readyz")}
	if !o.deletes && sessionCookie(v) != "" {
		answers["the reset"] = request(t, v, http.MethodPost, "/reset")
	}
	for name, answer := range answers {
		wantRefusal(t, answer)
		if !strings.Contains(answer.Body, o.reason) || answer.Took > s.tally.maxWait() {
			t.Errorf("%s says after %v, without %q: %s", name, answer.Took, o.reason, answer.Body)
		}
	}
}

// fastestHealth requests /healthz repeatedly until done, and returns the shortest time. If /healthz waited for Redis, every
// request would be slow; if it only waits for the test's other requests, some are fast.
func (i *instance) fastestHealth(t *testing.T, done <-chan struct{}) time.Duration {
	t.Helper()
	fastest := time.Hour
	for {
		answer := i.get(t, "/healthz")
		if answer.Status != http.StatusOK {
			t.Errorf("/healthz: %d", answer.Status)
		}
		fastest = min(fastest, answer.Took)
		select {
		case <-done:
			return fastest
		default:
		}
	}
}

// toldOnce proves that the app logs the fault once, and its end. before is the number of earlier faults in the log.
func (s *setup) toldOnce(t *testing.T, before int) {
	t.Helper()
	if lost := s.app.awaitRedis(t); lost != before+1 {
		t.Errorf("the log says %d times that Redis was lost, want 1:\n%s", lost-before, s.app.output.withoutRequests())
	}
	for _, attribute := range []string{`"after":`, `"failures":`} {
		if !strings.Contains(s.app.output.String(), attribute) {
			t.Errorf("the log does not say %s", attribute)
		}
	}
}

func TestCountIsExactOverAKillOfRedisUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSetup(t, defaultTimeout)
	var back time.Duration
	s.tally.during(func() {
		s.tally.await(100)
		lost := s.app.awaitRedis(t)
		s.server.Kill()
		s.app.awaitLog(t, "redis lost", lost+1)
		s.tally.agree()
		redistest.Restart(t, s.server)
		back = s.tally.recover()
		s.tally.await(100)
	})
	s.tally.check("killed and restarted under load", back)
}

func TestStartsWithoutRedisAndCountsWhenItComes(t *testing.T) {
	t.Parallel()
	const secret = "visits:secret"
	forget := func(t *testing.T, s *setup) { s.do(t, "DEL "+secret) }
	for _, o := range []outage{
		killed,
		anotherPassword,
		{name: "a short secret", begin: func(t *testing.T, s *setup) { s.do(t, "SET "+secret+" short") }, end: forget, reason: "shared secret"},
		{name: "a list as the secret", begin: func(t *testing.T, s *setup) { s.do(t, "RPUSH "+secret+" x") }, end: forget, reason: "shared secret"},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := newSetupWithoutApp(t)
			o.begin(t, s)
			s.startApp(t, o.timeout())
			s.refusesAll(t, o)
			s.app.awaitLog(t, "redis lost", 1)
			o.end(t, s)
			back := s.tally.recover()
			s.tally.check(o.name+" at the start", back)
			s.toldOnce(t, 0)
		})
	}
}

// The app waits until a short fault is over: visitors do not notice it.
func TestShortTroubleIsNotNoticed(t *testing.T) {
	t.Parallel()
	s := newSetup(t, 7*time.Second) // longer than all of the faults
	for _, test := range []struct {
		name  string
		begin func(*testing.T)
	}{
		{"loading", func(*testing.T) { s.proxy.Next(4, redistest.Scripts, redistest.Fate{Answer: redistest.Loading}) }},
		{"a replica", func(*testing.T) { s.proxy.Next(4, redistest.Scripts, redistest.Fate{Answer: redistest.ReadOnly}) }},
		{"a master away", func(*testing.T) { s.proxy.Next(4, redistest.Scripts, redistest.Fate{Answer: redistest.MasterDown}) }},
		{"a script forgotten", func(t *testing.T) { s.do(t, "SCRIPT FLUSH") }},
		{"answers lost", func(*testing.T) { s.proxy.Next(4, redistest.Scripts, redistest.Fate{Cut: true}) }},
		{"an answer vanished", func(*testing.T) { s.proxy.Next(1, redistest.Scripts, redistest.Fate{Mute: true}) }},
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
	s := newSetup(t, defaultTimeout)
	cuts := 0
	s.tally.during(func() {
		redistest.Wait(t, "visits to count although every tenth cuts all connections", func() bool {
			if s.proxy.Seen("EVALSHA") >= 10*cuts {
				s.proxy.Cut()
				cuts++
			}
			return cuts >= 50 && s.tally.Sum().Acknowledged >= 50
		})
	})
	if opened := s.proxy.Seen("HELLO"); opened < cuts {
		t.Errorf("only %d connections were opened: hardly any was cut", opened)
	}
	back := s.tally.recover()
	s.tally.check("connections cut by every tenth visit", back)
}

func TestCountIsExactWhileRedisIsSlow(t *testing.T) {
	t.Parallel()
	s := newSetup(t, 3*time.Second)
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

// While a server loads much data, it answers late, and with LOADING.
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
	_, err := fill.Exec(t.Context())
	must(t, err)
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
