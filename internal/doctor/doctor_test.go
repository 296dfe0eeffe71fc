package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
	"visit-counter/redisstore"
)

var must = redistest.Must

const password = "p4ss/w0rd:of=the#tests"

// finding is the outcome of one run of the doctor.
type finding struct {
	status int
	out    string
	lines  []Line
}

// examine runs the command as main does, with only these variables in its environment, and checks that it prints no
// secret.
func examine(t *testing.T, env ...string) finding {
	t.Helper()
	return examineAs(t, reachOf, nil, env...)
}

func examineAs(t *testing.T, who func(netip.Addr) reach, flags []string, env ...string) finding {
	t.Helper()
	vars := make(map[string]string)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	cmd := command(func(name string) string { return vars[name] }, who)
	var out, errOut strings.Builder
	cmd.SetArgs(append([]string{"--json"}, flags...))
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SilenceUsage = true // as main does
	var f finding
	if cmd.ExecuteContext(t.Context()) != nil {
		f.status = 1
	}
	f.out = out.String()
	var report Report
	if err := json.Unmarshal([]byte(f.out), &report); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s%s", err, f.out, errOut.String())
	}
	f.lines = report.Checks
	if report.OK != (f.status == 0) || (f.status != 0) != (errOut.Len() > 0) {
		t.Errorf("ok is %t, exit status %d, stderr %q", report.OK, f.status, errOut.String())
	}
	for _, secret := range []string{password, url.QueryEscape(password)} {
		if strings.Contains(f.out+errOut.String(), secret) {
			t.Errorf("the password is in the output:\n%s%s", f.out, errOut.String())
		}
	}
	for _, l := range f.lines {
		if (l.Status == Pass) != (l.Fix == "") {
			t.Errorf("only WARN and FAIL have a fix: %+v", l)
		}
	}
	return f
}

// wants checks the exit status, and that the check has a line with this status and text.
func (f finding) wants(t *testing.T, exit int, check string, status Status, text string) {
	t.Helper()
	if f.status != exit {
		t.Errorf("exit status %d, want %d:\n%s", f.status, exit, f.out)
	}
	for _, l := range f.lines {
		if l.Check == check && l.Status == status && strings.Contains(l.Message+" "+l.Fix, text) {
			return
		}
	}
	t.Errorf("no line %s %s with %q:\n%s", status, check, text, f.out)
}

// of returns the lines of one status, as "check: message".
func (f finding) of(status Status) (lines []string) {
	for _, l := range f.lines {
		if l.Status == status {
			lines = append(lines, l.Check+": "+l.Message)
		}
	}
	return lines
}

func TestHealthyRedisPassesEverythingAndIsLeftAsItWas(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{AppendOnly: true, Config: []string{"appendfsync always"}, Password: password})
	f := examine(t, "REDIS_URL="+server.URL())
	if rest := append(f.of(Warn), f.of(Fail)...); f.status != 0 || len(rest) > 0 {
		t.Errorf("exit status %d, %q", f.status, rest)
	}
	messages := map[string]string{
		"address": "from REDIS_URL", "reachable": server.Addr(), "tls": "not used", "login": "user default",
		"exposed": "requires a password", "server": "Redis 7", "role": "master", "persistence": "no visit is lost",
		"memory": "no limit", "connections": "are left", "secret": "none yet", "store": "found again and removed", "clock": "apart",
	}
	for _, check := range checks {
		if check.name != "configuration" && check.name != "sentinel" { // they print nothing here
			if messages[check.name] == "" {
				t.Errorf("this test does not know what the check %s says", check.name)
			}
			f.wants(t, 0, check.name, Pass, messages[check.name])
		}
	}
	if keys := redistest.Client(t, server).Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("keys are left behind: %q", keys)
	}
}

func TestAddressIsReportedWithTheIgnoredOnes(t *testing.T) {
	server := redistest.Start(t)
	bound := fmt.Sprintf(`{"p-redis":[{"name":"my-redis","label":"p-redis","credentials":{"host":"127.0.0.1","port":%q}}]}`,
		server.Addr()[strings.LastIndex(server.Addr(), ":")+1:])
	f := examine(t, "VCAP_APPLICATION={}", "VCAP_SERVICES="+bound, "REDIS_URL=redis://:"+url.QueryEscape(password)+"@other.invalid:6379")
	f.wants(t, 0, "address", Pass, "VCAP_SERVICES")
	f.wants(t, 0, "configuration", Warn, "other addresses are ignored: REDIS_URL (other.invalid:6379)")
}

func TestEveryMistakeOfTheConfigurationFails(t *testing.T) {
	f := examine(t, "PORT=http", "REDIS_URL=https://:"+password+"@example.com")
	f.wants(t, 1, "configuration", Fail, "PORT: ")
	f.wants(t, 1, "configuration", Fail, "REDIS_URL: ")
	if len(f.lines) != 2 {
		t.Errorf("%d lines for 2 mistakes:\n%s", len(f.lines), f.out)
	}
}

func TestMissingRedisIsReportedWithWhatToDo(t *testing.T) {
	killed := redistest.Start(t)
	killed.Kill()
	for _, tt := range []struct {
		env    string
		exit   int
		check  string
		status Status
		text   string
	}{
		{"DYNO=web.1", 1, "address", Fail, "heroku addons:create heroku-redis:mini"},
		{"VCAP_APPLICATION={}", 1, "address", Fail, "cf bind-service visit-counter my-redis"},
		{"SESSION_STORE=memory", 0, "address", Warn, "loses them when it ends"},
		{"REDIS_URL=" + killed.URL(), 1, "reachable", Fail, killed.Addr() + ": Redis cannot be reached. Nothing listens at its address."},
		{"REDIS_URL=" + killed.URL(), 1, "reachable", Fail, "The address comes from REDIS_URL."},
		{"REDIS_URL=redis://redis.invalid:6379", 1, "reachable", Fail, "redis.invalid:6379: Redis cannot be reached. The name of its host cannot be resolved."},
		{"REDIS_URL=unix:///nowhere/redis.sock", 1, "reachable", Fail, "/nowhere/redis.sock: Redis cannot be reached. Nothing listens"},
	} {
		examine(t, tt.env).wants(t, tt.exit, tt.check, tt.status, tt.text)
	}
}

func TestInterruptionIsNoFinding(t *testing.T) {
	server := redistest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	getenv := func(name string) string {
		cancel() // Ctrl-C before the first check
		return map[string]string{"REDIS_URL": server.URL()}[name]
	}
	var out strings.Builder
	cmd := Command(getenv)
	cmd.SetArgs([]string{"--json=false"})
	cmd.SetOut(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(ctx)
	if err == nil || out.Len() > 0 {
		t.Errorf("interrupted: %v, %q", err, out.String())
	}
}

func TestHangingRedisIsReportedInTime(t *testing.T) {
	for _, tt := range []struct {
		check string
		muted redistest.Match
		max   time.Duration
	}{
		{"login", redistest.Any, 3 * time.Second},
		{"store", redistest.Named("INFO", "CONFIG", "EVALSHA", "SET"), 5 * time.Second},
	} {
		proxy := redistest.NewProxy(t, redistest.Start(t))
		proxy.All(tt.muted, redistest.Fate{Mute: true})
		began := time.Now()
		examine(t, "REDIS_URL="+proxy.URL(), "REDIS_TIMEOUT=200ms").wants(t, 1, tt.check, Fail, "did not answer in time")
		if took := time.Since(began); took > tt.max {
			t.Errorf("%s: it took %s", tt.check, took)
		}
	}
}

func TestPasswords(t *testing.T) {
	protected := redistest.StartWith(t, redisserver.Options{Password: password})
	examine(t, "REDIS_URL=redis://"+protected.Addr()).wants(t, 1, "login", Fail, "requires a password, but this app has none")
	examine(t, "REDIS_URL=redis://:wrong@"+protected.Addr()).wants(t, 1, "login", Fail, "rejects the password")
	unprotected := redistest.Start(t)
	examine(t, "REDIS_URL=redis://:"+url.QueryEscape(password)+"@"+unprotected.Addr()).
		wants(t, 0, "exposed", Pass, "its default user has no password, but is used from this machine only")
}

func TestOpenRedisIsJudgedByWhoCanReachIt(t *testing.T) {
	is := func(r reach) func(netip.Addr) reach { return func(netip.Addr) reach { return r } }
	server, protected := redistest.Start(t), redistest.StartWith(t, redisserver.Options{Password: password})
	f := examineAs(t, is(anyone), nil, "REDIS_URL="+server.URL())
	f.wants(t, 1, "exposed", Fail, "requirepass")
	f.wants(t, 1, "tls", Warn, "can be read in transit")
	examineAs(t, is(privateNetwork), nil, "REDIS_URL="+server.URL()).wants(t, 0, "exposed", Warn, "private network")
	examineAs(t, is(anyone), nil, "REDIS_URL="+protected.URL()).wants(t, 0, "exposed", Pass, "requires a password")
}

func TestReachDependsOnTheAddress(t *testing.T) {
	for addr, want := range map[string]reach{
		"127.0.0.1": thisMachine, "::1": thisMachine, "::ffff:127.0.0.1": thisMachine,
		"10.1.2.3": privateNetwork, "172.17.0.2": privateNetwork, "192.168.1.1": privateNetwork,
		"100.64.0.1": privateNetwork, "169.254.1.1": privateNetwork, "fd00::1": privateNetwork,
		"8.8.8.8": anyone, "100.128.0.1": anyone, "172.32.0.1": anyone, "2001:db8::1": anyone,
	} {
		if got := reachOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("reachOf(%s) = %d, want %d", addr, got, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	ca := redistest.NewCA(t)
	valid := ca.Issue(t)
	tests := []struct {
		name   string
		cert   *redisserver.TLS
		env    []string // CA stands for the file of the authority
		exit   int
		status Status
		text   string
	}{
		{"private CA, known", valid, []string{"REDIS_TLS_CA=CA"}, 0, Warn, "TLS 1.3, certificate of CN=test CA, valid for less than a day"},
		{"private CA, unknown", valid, nil, 1, Fail, "Set REDIS_TLS_CA"},
		{"expired", ca.IssueExpired(t), []string{"REDIS_TLS_CA=CA"}, 1, Fail, " to " + time.Now().Add(-time.Hour).Format(time.DateOnly)},
		{"other name", ca.Issue(t, "redis.invalid"), []string{"REDIS_TLS_CA=CA"}, 1, Fail, "It is for redis.invalid"},
		{"self-signed", redistest.SelfSigned(t), nil, 1, Fail, "not trusted"},
		{"not verified", valid, []string{"REDIS_TLS_VERIFY=false"}, 0, Warn, "it is not verified: anyone on the network path"},
		{"not verified, though it could be", valid, []string{"REDIS_TLS_VERIFY=false", "REDIS_TLS_CA=CA"}, 0, Warn, "though it could be"},
		{"Heroku", valid, []string{"DYNO=web.1"}, 0, Warn, "it is not verified: anyone on the network path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.StartWith(t, redisserver.Options{TLS: tt.cert, Password: password})
			env := []string{"REDIS_URL=" + server.URL()}
			for _, v := range tt.env {
				env = append(env, strings.Replace(v, "=CA", "="+tt.cert.CAFile, 1))
			}
			f := examine(t, env...)
			f.wants(t, tt.exit, "tls", tt.status, tt.text)
			if tt.exit == 0 {
				f.wants(t, 0, "store", Pass, "counted")
			}
		})
	}
}

func TestOneCertificateForAllNodesOfAClusterIsEnough(t *testing.T) {
	ca := redistest.NewCA(t)
	server := redistest.StartWith(t, redisserver.Options{TLS: ca.Issue(t, "127.0.0.1")})
	url := strings.Replace(server.URL(), "127.0.0.1", "localhost", 1) + "?addr=" + server.Addr()
	f := examine(t, "REDIS_URL="+url, "REDIS_TLS_CA="+ca.PEM)
	f.wants(t, 1, "login", Fail, "it is not one") // the server is not a Cluster, but the certificates are checked first
	if lines := f.of(Warn); len(lines) != 2 || !strings.Contains(lines[0], "certificate of CN=test CA, valid") {
		t.Errorf("certificates of two addresses: %q", lines)
	}
}

func TestAnOpenNodeIsDetectedBehindACertificateForTheCluster(t *testing.T) {
	ca := redistest.NewCA(t)
	server := redistest.StartWith(t, redisserver.Options{TLS: ca.Issue(t, "localhost"), Config: []string{"cluster-enabled yes"}})
	url := "rediss://:" + url.QueryEscape(password) + "@" + strings.Replace(server.Addr(), "127.0.0.1", "localhost", 1)
	rdb := redistest.Client(t, server)
	must(t, rdb.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	redistest.Wait(t, "the Cluster to be ready", func() bool { return rdb.Set(t.Context(), "ready", 1, 0).Err() == nil })
	examine(t, "REDIS_URL="+url, "REDIS_CLUSTER=true", "REDIS_TLS_CA="+ca.PEM).
		wants(t, 0, "exposed", Pass, "its default user has no password")
}

func TestTLSWhereNoneIsExpectedIsReportedAndViceVersa(t *testing.T) {
	secured := redistest.StartWith(t, redisserver.Options{TLS: redistest.NewCA(t).Issue(t)})
	examine(t, "REDIS_URL=redis://"+secured.Addr()).wants(t, 1, "login", Fail, "Write rediss://")
	plain := redistest.Start(t)
	examine(t, "REDIS_URL=rediss://"+plain.Addr()).wants(t, 1, "tls", Fail, "does not complete a TLS handshake")
}

func TestReplica(t *testing.T) {
	master := redistest.Start(t)
	_, port, err := net.SplitHostPort(master.Addr())
	must(t, err)
	replica := redistest.StartWith(t, redisserver.Options{Config: []string{"replicaof 127.0.0.1 " + port}})
	f := examine(t, "REDIS_URL="+replica.URL())
	f.wants(t, 1, "role", Fail, "its master is "+master.Addr())
	f.wants(t, 1, "store", Fail, "replica")
}

func TestWhatRedisReportsIsJudged(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.StartWith(t, redisserver.Options{Config: []string{"protected-mode no"}}))
	info, hour := redistest.Named("INFO"), time.Now().Add(time.Hour)
	bind := func(args []string) bool { return len(args) == 3 && args[2] == "bind" }
	for _, tt := range []struct {
		question redistest.Match
		answer   string
		exit     int
		check    string
		status   Status
		text     string
	}{
		{bind, "%1\r\n+bind\r\n+127.0.0.1 -::1", 0, "exposed", Pass, "this machine only"},
		{bind, "%1\r\n+bind\r\n+* -::*", 0, "exposed", Warn, "accepts connections from other machines"},
		{info, bulk("aof_enabled:1\r\naof_last_write_status:err"), 1, "persistence", Fail, "cannot be written"},
		{info, bulk("aof_enabled:0\r\nrdb_last_bgsave_status:err"), 0, "persistence", Warn, "the last snapshot failed"},
		{info, "+redis_version:3.2.12", 1, "server", Fail, "Redis 3.2.12 is too old"},
		{info, bulk("redis_version:7.2.4\r\nvalkey_version:8.1.0"), 0, "server", Pass, "Valkey 8.1.0"},
		{redistest.Named("TIME"), fmt.Sprintf("*2\r\n+%d\r\n+0", hour.Unix()), 0, "clock", Warn, "off from this machine's"},
	} {
		proxy.All(tt.question, redistest.Fate{Answer: tt.answer})
		examine(t, "REDIS_URL="+proxy.URL()).wants(t, tt.exit, tt.check, tt.status, tt.text)
		proxy.Heal()
	}
}

// bulk returns text as an answer with several lines, without its last line break.
func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s", len(text), text) }

func TestMemory(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	must(t, rdb.SetRange(t.Context(), "ballast", 30<<20, "x").Err())
	tests := []struct {
		name, limit, policy string
		exit                int
		status              Status
		text                string
	}{
		{"room", "100mb", "noeviction", 0, Pass, "of 100.0 MB used, noeviction"},
		{"nearly full", "35mb", "noeviction", 0, Warn, "when it is full, no visit can be counted"},
		{"full", "30mb", "noeviction", 1, Fail, "it is full"},
		{"evicts anything", "100mb", "allkeys-lru", 0, Warn, "sessions are removed"},
		{"evicts what expires, as sessions do", "100mb", "volatile-ttl", 0, Warn, "sessions are removed"},
		{"a policy without a limit", "0", "allkeys-lru", 0, Pass, "no limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			must(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", tt.policy).Err())
			must(t, rdb.ConfigSet(t.Context(), "maxmemory", tt.limit).Err())
			f := examine(t, "REDIS_URL="+server.URL())
			f.wants(t, tt.exit, "memory", tt.status, tt.text)
			if tt.exit != 0 {
				f.wants(t, tt.exit, "store", Fail, "out of memory")
			}
		})
	}
}

func TestPersistence(t *testing.T) {
	tests := []struct {
		name, config string
		status       Status
		text         string
	}{
		{"none", `save ""`, Warn, "every count is lost"},
		{"snapshots only", "save 3600 1", Warn, "snapshots only"},
		{"append-only file", "appendonly yes", Pass, "if Redis or its machine crashes, up to the last two seconds"},
		{"append-only file, written by the system", "appendonly yes\nappendfsync no", Pass, "half a minute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.StartWith(t, redisserver.Options{Config: []string{tt.config}})
			examine(t, "REDIS_URL="+server.URL()).wants(t, 0, "persistence", tt.status, tt.text)
		})
	}
}

func TestConnections(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Config: []string{"maxclients 20"}})
	env := "REDIS_URL=" + server.URL()
	examine(t, env).wants(t, 0, "connections", Pass, "enough for")
	examineAs(t, reachOf, []string{"--instances", "6"}, env).
		wants(t, 0, "connections", Warn, "at most 20, but 6 instances with REDIS_POOL_SIZE 4 need 24")

	hold := func(connections int) {
		for range connections {
			conn, err := net.Dial("tcp", server.Addr())
			must(t, err)
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	rdb := redistest.Client(t, server)
	hold(16) // and rdb is one
	redistest.Wait(t, "17 connections", func() bool {
		return strings.Contains(rdb.Info(t.Context(), "clients").Val(), "connected_clients:17\r\n")
	})
	examine(t, env).wants(t, 0, "connections", Warn, "3 of 20 are left: not enough for one more instance")
	redistest.Wait(t, "17 connections again", func() bool {
		return strings.Contains(rdb.Info(t.Context(), "clients").Val(), "connected_clients:17\r\n")
	})
	hold(3)
	examine(t, env).wants(t, 1, "login", Fail, "no connection left")
}

// storeRights are the rights that the store needs, and no more.
var storeRights = strings.ReplaceAll(redisstore.Rights, redisstore.DefaultPrefix, "visits:")

func TestManagedRedisThatForbidsInfoAndConfigIsNotAFailure(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Config: []string{"user default off", "user app on >secret " + storeRights}})
	f := examine(t, "REDIS_URL=redis://app:secret@"+server.Addr())
	for check, status := range map[string]Status{
		"persistence": Warn, "memory": Warn, "connections": Warn,
	} {
		f.wants(t, 0, check, status, "not reported by this Redis")
	}
	f.wants(t, 0, "login", Pass, "user app")
	f.wants(t, 0, "server", Pass, "Redis 7") // known from HELLO
	f.wants(t, 0, "role", Pass, "master")
	f.wants(t, 0, "store", Pass, "counted")
}

func TestRedisThatForbidsOnlyConfigReportsTheRest(t *testing.T) {
	server := redistest.StartWith(t, redisserver.Options{Config: []string{"user default off", "user app on >secret ~* +@all -config"}})
	f := examine(t, "REDIS_URL=redis://app:secret@"+server.Addr())
	f.wants(t, 0, "memory", Pass, "no limit")
	f.wants(t, 0, "connections", Pass, "are left")
	f.wants(t, 0, "persistence", Warn, "whether there are snapshots is not reported by this Redis")
}

func TestUserWithoutTheRightsThatTheStoreNeeds(t *testing.T) {
	for name, rights := range map[string]string{
		"no scripts":       "~* +@all -evalsha -eval",
		"not in a script":  "~* +@all -hset",
		"other keys":       "~other:* +@all",
		"no shared secret": "~visits:session:* +@all",
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartWith(t, redisserver.Options{Config: []string{"user default off", "user app on >secret " + rights}})
			f := examine(t, "REDIS_URL=redis://app:secret@"+server.Addr())
			check := "store"
			if name == "no shared secret" {
				check = "secret"
			}
			f.wants(t, 1, check, Fail, "ACL SETUSER NAME resetkeys ~visits:session:* ~visits:secret")
		})
	}
}

func TestSecretIsReported(t *testing.T) {
	server := redistest.Start(t)
	rdb := redistest.Client(t, server)
	examine(t, "REDIS_URL="+server.URL(), "SESSION_SECRET=Zq8v2Lw7Jk4Rt9Xc1Bn6Mp3Hs5Fd0GyU").
		wants(t, 0, "secret", Pass, "SESSION_SECRET: the first of 1")
	must(t, rdb.Set(t.Context(), "visits:secret", strings.Repeat("x", 52), 0).Err())
	examine(t, "REDIS_URL="+server.URL()).wants(t, 0, "secret", Pass, "share a random one")
	must(t, rdb.Set(t.Context(), "visits:secret", "short", 0).Err())
	examine(t, "REDIS_URL="+server.URL()).wants(t, 1, "secret", Fail, "too short")
}

func TestCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	t.Run("each master is examined", func(t *testing.T) {
		f := examine(t, "REDIS_URL="+cluster.URL())
		f.wants(t, 0, "store", Pass, "counted")
		for _, addr := range cluster.Addrs() {
			for _, check := range []string{"role", "memory", "store", "clock"} {
				if !f.has(check, addr) {
					t.Errorf("no line %s about %s:\n%s", check, addr, f.out)
				}
			}
		}
	})
	t.Run("one node is enough to find it", func(t *testing.T) {
		one := "REDIS_URL=redis://" + cluster.Addrs()[0]
		f := examine(t, one)
		f.wants(t, 0, "server", Warn, "set REDIS_CLUSTER=true")
		f.wants(t, 0, "store", Pass, "counted")
		examine(t, one, "REDIS_CLUSTER=true").wants(t, 0, "store", Pass, "counted")
	})
	t.Run("its user needs one more right", func(t *testing.T) {
		for _, node := range cluster.Nodes {
			redistest.Do(t, redistest.Client(t, node), "ACL SETUSER app on >secret "+storeRights+" "+redisstore.ClusterRights)
		}
		f := examine(t, "REDIS_URL="+strings.Replace(cluster.URL(), "redis://", "redis://app:secret@", 1))
		f.wants(t, 0, "store", Pass, "counted")
		f.wants(t, 0, "memory", Warn, "not reported by this Redis")
	})
}

func (f finding) has(check, node string) bool {
	for _, l := range f.lines {
		if l.Check == check && l.Node == node {
			return true
		}
	}
	return false
}

func TestEachSentinelIsAskedForTheMaster(t *testing.T) {
	sentinel := redistest.StartSentinel(t)
	f := examine(t, "REDIS_URL="+sentinel.URL())
	f.wants(t, 0, "sentinel", Pass, "the master is "+sentinel.Master().Addr())
	f.wants(t, 0, "role", Pass, "master")
	f.wants(t, 0, "store", Pass, "counted")
	sentinel.Sentinels[0].Kill()
	examine(t, "REDIS_URL="+sentinel.URL()).wants(t, 0, "reachable", Warn, "Nothing listens")
	examine(t, "REDIS_URL="+strings.Replace(sentinel.URL(), "master_name="+redistest.SentinelName, "master_name=other", 1)).
		wants(t, 1, "sentinel", Fail, "correct master_name")
}
