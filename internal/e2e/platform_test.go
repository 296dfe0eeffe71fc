package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/app"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

const (
	redisPassword = "+/=!&#%:@-p4ssw0rd" // brokers make such ones, and do not always escape them
	appName       = "my-own-counter"     // under which the app was pushed
	startTime     = time.Second
	mostResident  = 40 << 20 // bytes: 64M leaves room
)

// cloud is a platform: how it builds the program, and what it tells an instance.
type cloud struct {
	flags        []string                                           // of `go install`
	certificate  func(testing.TB) *redisserver.TLS                  // of its Redis
	instanceName func(index int) string                             // on the page
	environment  func(index int) []string                           // of an instance, without port and Redis
	binding      func(*redisserver.Server, *redisserver.TLS) string // the variable that says where Redis is
	source       string                                             // that variable, as the log and the page name it
	unbound      string                                             // the same for an app without a Redis
	commands     []string                                           // with which such an app gets one
	requestID    string                                             // the router's header
	passesProto  bool                                               // the router passes on a client's X-Forwarded-Proto
	choosable    bool                                               // the router lets a client choose an instance
	unverified   int                                                // how often the log warns of the certificate

	bin string // where the built program lies
}

func heroku() *cloud {
	return &cloud{
		flags:        []string{"-tags", "heroku"},
		certificate:  redistest.SelfSigned,
		instanceName: func(index int) string { return "web." + strconv.Itoa(index+1) },
		environment: func(index int) []string {
			return []string{"DYNO=web." + strconv.Itoa(index+1), "HEROKU_APP_NAME=" + appName}
		},
		binding:    func(s *redisserver.Server, _ *redisserver.TLS) string { return "REDIS_URL=" + s.URL() },
		source:     "REDIS_URL",
		unbound:    "HOME=/app",
		commands:   []string{"heroku addons:create heroku-redis:mini --app " + appName},
		requestID:  "X-Request-Id",
		unverified: 1,
	}
}

func cloudFoundry() *cloud {
	return &cloud{
		flags:        []string{"-tags", "cloudfoundry", "-buildmode", "pie"},
		certificate:  func(t testing.TB) *redisserver.TLS { return redistest.NewCA(t).Issue(t) },
		instanceName: strconv.Itoa,
		environment: func(index int) []string {
			return []string{
				`VCAP_APPLICATION={"application_name":"` + appName + `","name":"` + appName + `","application_uris":["` + site + `"],` +
					`"limits":{"disk":1024,"fds":16384,"mem":64},"organization_name":"o","space_name":"s"}`,
				"CF_INSTANCE_INDEX=" + strconv.Itoa(index), "CF_INSTANCE_GUID=" + fmt.Sprintf("%08d-0000-4000-8000-000000000000", index),
				"CF_INSTANCE_IP=10.0.16.4", "MEMORY_LIMIT=64m", "VCAP_APP_HOST=0.0.0.0", "USER=vcap",
			}
		},
		binding:     vcapServices,
		source:      "VCAP_SERVICES (my-redis)",
		unbound:     "VCAP_SERVICES={}",
		commands:    []string{"cf create-service SERVICE PLAN my-redis", "cf bind-service " + appName + " my-redis", "cf restage " + appName},
		requestID:   "X-Vcap-Request-Id",
		passesProto: true,
		choosable:   true,
	}
}

// vcapServices is what Cloud Foundry tells of a Redis that a broker has made.
func vcapServices(s *redisserver.Server, files *redisserver.TLS) string {
	ca, err := os.ReadFile(files.CAFile)
	if err != nil {
		return err.Error()
	}
	host, port, _ := strings.Cut(s.Addr(), ":")
	text, err := json.Marshal(map[string]any{"a-redis-broker": []any{map[string]any{
		"name": "my-redis", "label": "a-redis-broker", "plan": "small", "tags": []string{"redis"},
		"credentials": map[string]any{"host": host, "port": 6379, "tls_port": port, "password": redisPassword, "ca_cert": string(ca)},
	}}})
	if err != nil {
		return err.Error()
	}
	return "VCAP_SERVICES=" + string(text)
}

// build builds the program as the platform's buildpack does, and proves that it makes one program and no more.
func (c *cloud) build(t testing.TB) {
	t.Helper()
	c.bin = t.TempDir()
	cmd := exec.Command("go", slices.Concat([]string{"install"}, c.flags, []string{"."})...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "GOBIN="+c.bin, "GOFLAGS=-buildvcs=false") // no repository is there
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	files, err := os.ReadDir(c.bin)
	if err != nil || len(files) != 1 || files[0].Name() != startCommand(t) {
		t.Fatalf("%s made %v, which the Procfile does not start (%v)", cmd, files, err)
	}
}

// start starts an instance with the Procfile's command, as the platform does: in a shell that has bin on its PATH, and
// that the process takes the place of. In its folder lies a .env, which it must not read.
func (c *cloud) start(t testing.TB, index int, env ...string) *instance {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command("bash", "-c", startCommand(t))
	cmd.Dir = t.TempDir()
	dotenv := "COOKIE_NAME=dotenv\nSESSION_STORE=memory\nLOG_FORMAT=text\nINSTANCE=dotenv\n"
	if index%2 == 1 {
		dotenv += "this line is broken '\n"
	}
	if err := os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = slices.Concat(c.environment(index), []string{"PORT=" + port, "PATH=" + os.Getenv("PATH") + ":" + c.bin}, env)
	i := launchCommand(t, cmd)
	i.url = "http://127.0.0.1:" + port
	i.awaitHealth(t)
	return i
}

func (c *cloud) startAll(t testing.TB, n int, env ...string) []*instance {
	t.Helper()
	instances := make([]*instance, n)
	for index := range instances {
		instances[index] = c.start(t, index, env...)
	}
	return instances
}

// redis starts a Redis like the platform's, and returns the variable that says where it is.
func (c *cloud) redis(t testing.TB) (server *redisserver.Server, variable string) {
	t.Helper()
	everything.secret("the password of Redis", redisPassword)
	files := c.certificate(t)
	server = redistest.StartWith(t, redisserver.Options{TLS: files, Password: redisPassword})
	return server, c.binding(server, files)
}

// stop sends an instance SIGTERM, as the platform does.
func (c *cloud) stop(t testing.TB, i *instance) {
	t.Helper()
	if status, took := i.end(t, syscall.SIGTERM); status != 0 || took > mostDrain {
		t.Errorf("SIGTERM ended the instance with status %d after %v, want 0 within %v", status, took, mostDrain)
	}
}

func TestHerokuRunsWhatIsPushed(t *testing.T) { runsWhatIsPushed(t, heroku()) }

func TestCloudFoundryRunsWhatIsPushed(t *testing.T) {
	c := cloudFoundry()
	runsWhatIsPushed(t, c)
	t.Run("a visitor can choose an instance, or stay with one", func(t *testing.T) { visitorChoosesInstance(t, c) })
}

// runsWhatIsPushed builds once, and proves on that one build what the README promises of the platform.
func runsWhatIsPushed(t *testing.T, c *cloud) {
	c.build(t)
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprintf("visits go round %d instances", n), func(t *testing.T) { visitsGoRound(t, c, n) })
	}
	for _, promise := range []struct {
		name  string
		prove func(*testing.T, *cloud)
	}{
		{"restarts and crashes do not interrupt the count", restartsDoNotInterrupt},
		{"a rolling restart under load loses no visit", rollingRestartLosesNothing},
		{"a request in flight at SIGTERM is answered", requestInFlightIsAnswered},
		{"http goes to https, health checks stay", httpGoesToHTTPS},
		{"without a Redis the app says how to get one", withoutRedisSaysHow},
		{"an instance fits into 64M and keeps 4 connections", fitsIntoMemory},
		{"an instance listens within a second", listensWithinASecond},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.prove(t, c) })
	}
}

func visitsGoRound(t *testing.T, c *cloud, n int) {
	server, bound := c.redis(t)
	instances := c.startAll(t, n, bound)
	r := newCloudRouter(t, c, instances...)
	visitor := r.newBrowser(t)
	for want := 1; want <= 10; want++ {
		v, answer, ok := visitor.tryVisit(t, "https://"+site)
		index := (want - 1) % n
		if !ok || v.Visits != want || v.Instance != c.instanceName(index) || v.Store != "redis" || len(v.Processes) != min(want, n) {
			t.Fatalf("visit %d: status %d, %s", want, answer.status, answer.body)
		}
		cookie := answer.header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "__Host-session=") || !strings.Contains(cookie, "; Secure") {
			t.Errorf("the cookie is not as on HTTPS, or its name is from .env: %.15s", cookie)
		}
		if answer.header.Get("Strict-Transport-Security") == "" {
			t.Error("the answer has no Strict-Transport-Security")
		}
		c.inspectLog(t, instances[index], r.lastID.Load().(string))
	}
	page := visitor.do(t, http.MethodGet, "https://"+site+"/").body
	for _, want := range []string{"Served by " + c.instanceName(10%n), c.source, strings.Split(server.Addr(), ":")[1]} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if said := strings.Contains(page, "nobody has checked the certificate"); said != (c.unverified > 0) {
		t.Errorf("the page says that the certificate was not checked: %t", said)
	}
}

// inspectLog looks through all that an instance has logged, up to the request with this id.
func (c *cloud) inspectLog(t *testing.T, i *instance, id string) {
	t.Helper()
	var line struct {
		Level     string `json:"level"`
		RequestID string `json:"request_id"`
		Redis     string `json:"redis"`
		Warning   string `json:"warning"`
	}
	var warnings int
	var sources []string
	found := func() bool {
		warnings, sources = 0, nil
		for text := range strings.Lines(i.output.String()) {
			line.RequestID, line.Redis, line.Warning = "", "", ""
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("a line of the log is not JSON: %s", text)
			}
			if line.Redis != "" {
				sources = append(sources, line.Redis)
			}
			if line.Level == "WARN" && strings.Contains(line.Warning, "cannot be verified") {
				warnings++
			}
			if line.RequestID == id {
				return true
			}
		}
		return false
	}
	redistest.Wait(t, "the log line with the router's id", found) // it is written after the answer
	if warnings != c.unverified || !slices.Equal(sources, []string{c.source}) {
		t.Errorf("the log warns %d times of the certificate, want %d, and names %q as the source, want %s", warnings, c.unverified, sources, c.source)
	}
}

func restartsDoNotInterrupt(t *testing.T, c *cloud) {
	_, bound := c.redis(t)
	instances := c.startAll(t, 2, bound)
	r := newCloudRouter(t, c, instances...)
	visitor := r.newBrowser(t)
	visits := 0
	visitTwice := func() {
		t.Helper()
		for range 2 {
			visits++
			if got := visitor.visit(t, "https://"+site).Visits; got != visits {
				t.Fatalf("visit %d says %d", visits, got)
			}
		}
	}
	visitTwice()
	for _, end := range []struct {
		name string
		f    func(*instance)
	}{
		{"SIGTERM", func(i *instance) { c.stop(t, i) }},
		{"SIGKILL", func(i *instance) { i.end(t, syscall.SIGKILL) }},
	} {
		end.f(instances[0]) // one is away, the other goes on
		visitTwice()
		end.f(instances[1]) // all are away
		if answer := visitor.do(t, http.MethodGet, "https://"+site+"/"); answer.status != http.StatusBadGateway {
			t.Errorf("with no instance left: status %d", answer.status)
		}
		for index := range instances {
			instances[index] = c.start(t, index, bound)
			r.replace(index, instances[index])
		}
		visitTwice()
	}
	// Rows: 2 processes at first, and 2 after each of the ends.
	if v := visitor.visit(t, "https://"+site); v.Visits != visits+1 || len(v.Processes) != 6 {
		t.Errorf("visit %d says %d, from %d processes, want 6", visits+1, v.Visits, len(v.Processes))
	}
}

func rollingRestartLosesNothing(t *testing.T, c *cloud) {
	_, bound := c.redis(t)
	instances := c.startAll(t, 2, bound)
	r := newCloudRouter(t, c, instances...)
	y := newTally(t, "https://"+site)
	y.visitor = r.newBrowser(t)
	y.visit()
	y.during(func() {
		for index, old := range instances {
			y.acknowledged(20)
			r.replace(index, c.start(t, index, bound))
			y.acknowledged(20)
			c.stop(t, old)
		}
		y.acknowledged(20)
	})
	y.prove("a rolling restart on a platform", 0)
	y.lostNone()
}

func requestInFlightIsAnswered(t *testing.T, c *cloud) {
	server, bound := c.redis(t)
	i := c.start(t, 0, bound, "REDIS_TIMEOUT=7s")
	r := newCloudRouter(t, c, i)
	visitor := r.newBrowser(t)
	visitor.visit(t, "https://"+site)
	rdb := redistest.Client(t, server)
	if err := rdb.Do(t.Context(), "CLIENT", "PAUSE", "15000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		v, _, _ := visitor.tryVisit(t, "https://"+site)
		answered <- v.Visits
	}()
	redistest.Wait(t, "the visit to reach Redis", func() bool {
		for line := range strings.Lines(rdb.ClientList(t.Context()).Val()) {
			if strings.Contains(line, "cmd=evalsha") && strings.Contains(line, "flags=b") {
				return true
			}
		}
		return false
	})
	began := time.Now()
	i.signal(t, syscall.SIGTERM)
	i.awaitLine(t, "stopping")
	if err := rdb.ClientUnpause(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != 2 {
		t.Errorf("the visit in flight says %d, want 2", got)
	}
	if status := i.await(t); status != 0 || time.Since(began) > mostDrain {
		t.Errorf("SIGTERM ended the instance with status %d after %v", status, time.Since(began))
	}
}

func httpGoesToHTTPS(t *testing.T, c *cloud) {
	_, bound := c.redis(t)
	i := c.start(t, 0, bound)
	r := newCloudRouter(t, c, i)
	visitor := r.newBrowser(t)
	answer := visitor.do(t, http.MethodGet, "http://"+site+"/?a=b")
	if got := answer.header.Get("Location"); answer.status != http.StatusPermanentRedirect || got != "https://"+site+"/?a=b" {
		t.Errorf("over http: status %d, Location %q", answer.status, got)
	}
	if answer.header.Get("Set-Cookie") != "" {
		t.Error("a cookie came over http")
	}
	if got := visitor.visit(t, "https://"+site).Visits; got != 1 {
		t.Errorf("after the redirect the count is %d: the redirect counted, or the cookie is not Secure", got)
	}
	// Where the router believes a client that says http is https, the cookie is Secure all the same.
	liar := r.newBrowser(t)
	liar.header.Set("X-Forwarded-Proto", "https")
	answer = liar.do(t, http.MethodGet, "http://"+site+"/")
	believed := answer.status == http.StatusOK && strings.Contains(answer.header.Get("Set-Cookie"), "; Secure")
	if believed != c.passesProto || !believed && answer.status != http.StatusPermanentRedirect {
		t.Errorf("with a forged X-Forwarded-Proto: status %d", answer.status)
	}
	// The platform asks the instance itself, without the router's headers.
	for _, path := range []string{"/healthz", "/readyz", "/"} {
		if got := newBrowser(t).do(t, http.MethodGet, i.url+path); got.status != http.StatusOK {
			t.Errorf("GET %s without a router: %d", path, got.status)
		}
	}
}

// visitorChoosesInstance is what the README shows with curl, and with COOKIE_NAME=JSESSIONID.
func visitorChoosesInstance(t *testing.T, c *cloud) {
	_, bound := c.redis(t)
	instances := c.startAll(t, 3, bound, "COOKIE_NAME="+stickyCookie)
	r := newCloudRouter(t, c, instances...)
	visitor := r.newBrowser(t)
	first := visitor.visit(t, "https://"+site).Instance
	for want := 2; want <= 5; want++ {
		if v := visitor.visit(t, "https://"+site); v.Visits != want || v.Instance != first {
			t.Errorf("visit %d says %d and comes from instance %s, want %s: it does not stick", want, v.Visits, v.Instance, first)
		}
	}
	visitor.header.Set("X-Cf-App-Instance", "0a1b2c3d-0000-4000-8000-000000000000:2")
	if v := visitor.visit(t, "https://"+site); v.Visits != 6 || v.Instance != "2" {
		t.Errorf("visit 6 says %d and comes from instance %s, want 2", v.Visits, v.Instance)
	}
	visitor.header.Del("X-Cf-App-Instance")
	instances[2].end(t, syscall.SIGKILL)
	if v := visitor.visit(t, "https://"+site); v.Visits != 7 || v.Instance == "2" {
		t.Errorf("its instance gone, visit 7 says %d and comes from instance %s", v.Visits, v.Instance)
	}
}

func withoutRedisSaysHow(t *testing.T, c *cloud) {
	i := c.start(t, 0, c.unbound)
	r := newCloudRouter(t, c, i)
	visitor := r.newBrowser(t)
	page := visitor.do(t, http.MethodGet, "https://"+site+"/")
	if page.status != http.StatusServiceUnavailable || !strings.Contains(page.body, "No Redis is bound") {
		t.Errorf("status %d:\n%s", page.status, page.body)
	}
	_, answer, _ := visitor.tryVisit(t, "https://"+site)
	var told struct{ Error, Hint string }
	if err := json.Unmarshal([]byte(answer.body), &told); err != nil {
		t.Fatal(err)
	}
	if commands := strings.Split(told.Hint, "\n")[1:]; answer.status != http.StatusServiceUnavailable || !slices.Equal(commands, c.commands) {
		t.Errorf("status %d, the commands are %q, want %q", answer.status, commands, c.commands)
	}
	if answer.header.Get("Set-Cookie") != "" || answer.header.Get("Retry-After") == "" {
		t.Errorf("headers of an app without a Redis: %v", answer.header)
	}
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if got := newBrowser(t).do(t, http.MethodGet, i.url+path).status; got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		}
	}
	for _, part := range []string{`"level":"ERROR","msg":"no Redis is configured`, c.commands[0], `"store":"none"`, `"err":"no Redis is configured"`} {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("the log does not say %s:\n%s", part, i.output.String())
		}
	}
	c.stop(t, i)
	_, bound := c.redis(t)
	r.replace(0, c.start(t, 0, bound))
	if got := visitor.visit(t, "https://"+site).Visits; got != 1 {
		t.Errorf("bound and restarted, the first visit is number %d", got)
	}
}

// fitsIntoMemory visits an instance as hard as it can be visited, with browsers that want the page.
func fitsIntoMemory(t *testing.T, c *cloud) {
	const visits, connections = 10_000, 64
	server, bound := c.redis(t)
	i := c.start(t, 0, bound, "REDIS_POOL_SIZE=4", "LOG_LEVEL=error")
	var load sync.WaitGroup
	for range connections {
		visitor := newBrowser(t)
		visitor.header.Set("X-Forwarded-Proto", "https")
		load.Go(func() {
			for range visits / connections {
				if answer, err := visitor.try(http.MethodGet, i.url+"/"); err != nil || answer.status != http.StatusOK {
					t.Errorf("under load: status %d, %v", answer.status, err)
					return
				}
			}
		})
	}
	load.Wait()
	if got := i.mostMemory(t); got > mostResident {
		t.Errorf("%.1f MB are resident, want at most %d", float64(got)/(1<<20), mostResident>>20)
	} else {
		t.Logf("%.1f MB were resident at most", float64(got)/(1<<20))
	}
	clients := redistest.Client(t, server).ClientList(t.Context()).Val()
	if got := strings.Count(clients, "\n") - 1; got < 1 || got > 4 { // one is ours
		t.Errorf("%d connections to Redis are open, want 1 to 4", got)
	}
}

// mostMemory returns how many bytes of memory the instance has had in use at most; where the system does not tell, what
// it has now.
func (i *instance) mostMemory(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return i.memory(t)
	}
	kilobytes, err := strconv.Atoi(only(t, fmt.Sprintf("/proc/%d/status", i.cmd.Process.Pid), `^VmHWM:\s+(\d+) kB$`))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// listensWithinASecond looks at the fastest of a few starts: a busy machine slows down any of them.
func listensWithinASecond(t *testing.T, c *cloud) {
	_, bound := c.redis(t)
	fastest := time.Duration(math.MaxInt64)
	for range 3 {
		began := time.Now()
		i := c.start(t, 0, bound)
		fastest = min(fastest, time.Since(began))
		c.stop(t, i)
	}
	if fastest > startTime {
		t.Errorf("the instance listens after %v, want at most %v", fastest, startTime)
	}
}

func TestGoKnowsTheContainersMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, test := range []struct {
		name string
		env  map[string]string
		want int64
	}{
		{"Cloud Foundry", map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64m"}, 64 << 20 / 4 * 3},
		{"Heroku, if it tells", map[string]string{"DYNO": "web.1", "MEMORY_LIMIT": "512M"}, 512 << 20 / 4 * 3},
		{"planned by somebody", map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64m", "GOMEMLIMIT": "50MiB"}, before},
		{"a developer's machine", map[string]string{"MEMORY_LIMIT": "64m", "SESSION_STORE": "memory"}, before},
	} {
		t.Run(test.name, func(t *testing.T) {
			debug.SetMemoryLimit(before)
			env := maps.Clone(test.env)
			env["PORT"] = freePort(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it stops as soon as it serves
			if err := app.Serve(ctx, func(name string) string { return env[name] }, io.Discard); err != nil {
				t.Fatal(err)
			}
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("Go's limit is %d bytes, want %d", got, test.want)
			}
		})
	}
}
