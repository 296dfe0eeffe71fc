package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

const (
	redisPassword = "+/=!&#%:@-p4ssw0rd" // brokers generate such passwords, and do not always escape them
	appName       = "my-own-counter"     // under which the app was pushed
	startTime     = time.Second
	maxResident   = 40 << 20 // bytes: 64M leaves room
)

// platform is what a platform sets for an instance, and what the app reports there.
type platform struct {
	name         string
	router       routerOptions
	environment  func(index int) []string // of an instance, without port and Redis
	instanceName func(index int) string   // on the page
	redis        func(testing.TB) string  // starts a Redis like the platform's: the variable that says where it is
	source       string                   // that variable, as the log and the page name it
	unverified   int                      // how often the log warns of that Redis' certificate
	unbound      string                   // the variable of an app without a Redis
	commands     []string                 // that bind one to such an app
}

var heroku = platform{
	name:   "Heroku",
	router: routerOptions{newConnections: true, requestID: "X-Request-Id"},
	environment: func(index int) []string {
		return []string{"DYNO=web." + strconv.Itoa(index+1), "HEROKU_APP_NAME=" + appName}
	},
	instanceName: func(index int) string { return "web." + strconv.Itoa(index+1) },
	redis: func(t testing.TB) string {
		keepSecret(t, "the password of Redis", redisPassword)
		return "REDIS_URL=" + redistest.StartWith(t, redisserver.Options{TLS: redistest.SelfSigned(t), Password: redisPassword}).URL()
	},
	source:     "REDIS_URL",
	unverified: 1,
	unbound:    "HOME=/app",
	commands:   []string{"heroku addons:create heroku-redis:mini --app " + appName},
}

var cloudFoundry = platform{
	name:   "Cloud Foundry",
	router: routerOptions{newConnections: true, requestID: "X-Vcap-Request-Id", passesProto: true, sticky: true},
	environment: func(index int) []string {
		return []string{
			`VCAP_APPLICATION={"application_name":"` + appName + `","name":"` + appName + `","application_uris":["example.com"],` +
				`"limits":{"disk":1024,"fds":16384,"mem":64},"organization_name":"o","space_name":"s"}`,
			"CF_INSTANCE_INDEX=" + strconv.Itoa(index), "CF_INSTANCE_GUID=" + fmt.Sprintf("%08d-0000-4000-8000-000000000000", index),
			"CF_INSTANCE_IP=10.0.16.4", "MEMORY_LIMIT=64m", "VCAP_APP_HOST=0.0.0.0", "USER=vcap",
		}
	},
	instanceName: strconv.Itoa,
	redis: func(t testing.TB) string {
		keepSecret(t, "the password of Redis", redisPassword)
		ca := redistest.NewCA(t)
		server := redistest.StartWith(t, redisserver.Options{TLS: ca.Issue(t), Password: redisPassword})
		host, port, _ := strings.Cut(server.Addr(), ":")
		text, err := json.Marshal(map[string]any{"a-redis-broker": []any{map[string]any{
			"name": "my-redis", "label": "a-redis-broker", "plan": "small", "tags": []string{"redis"},
			"credentials": map[string]any{"host": host, "port": 6379, "tls_port": port, "password": redisPassword, "ca_cert": ca.PEM},
		}}})
		must(t, err)
		return "VCAP_SERVICES=" + string(text)
	},
	source:   "VCAP_SERVICES (my-redis)",
	unbound:  "VCAP_SERVICES={}",
	commands: []string{"cf create-service SERVICE PLAN my-redis", "cf bind-service " + appName + " my-redis", "cf restage " + appName},
}

// onEach runs a test on each platform.
func onEach(t *testing.T, test func(*testing.T, platform)) {
	t.Parallel()
	for _, p := range []platform{heroku, cloudFoundry} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// start starts n instances.
func (p platform) start(t testing.TB, n int, env ...string) []*instance {
	t.Helper()
	instances := make([]*instance, n)
	for index := range instances {
		instances[index] = start(t, slices.Concat(p.environment(index), env)...)
	}
	return instances
}

func TestVisitsGoRoundTheInstancesOfAPlatform(t *testing.T) {
	onEach(t, func(t *testing.T, p platform) {
		const n = 4
		instances := p.start(t, n, p.redis(t))
		r := newRouter(t, p.router, instances...)
		v := r.newVisitor(t)
		for want := 1; want <= 10; want++ {
			answer, err := v.Visit(t.Context())
			page, index := answer.Page, (want-1)%n
			if err != nil || page.Visits != want || page.Instance != p.instanceName(index) || page.Store != "redis" || len(page.Processes) != min(want, n) {
				t.Fatalf("visit %d: %v, status %d, %s", want, err, answer.Status, answer.Body)
			}
			cookie := answer.Header.Get("Set-Cookie")
			if !strings.HasPrefix(cookie, "__Host-session=") || !strings.Contains(cookie, "; Secure") {
				t.Errorf("the cookie is not as on HTTPS: %.15s", cookie)
			}
			if answer.Header.Get("Strict-Transport-Security") == "" {
				t.Error("the answer has no Strict-Transport-Security")
			}
			p.inspectLog(t, instances[index], r.lastID.Load().(string))
		}
		page := request(t, v, http.MethodGet, "/", "Accept", "text/html").Body
		for _, want := range []string{"Served by " + p.instanceName(10%n), p.source} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if said := strings.Contains(page, "the certificate of this Redis is not verified"); said != (p.unverified > 0) {
			t.Errorf("the page says that the certificate was not checked: %t", said)
		}
	})
}

// inspectLog checks everything that an instance has logged, up to the request with this id.
func (p platform) inspectLog(t *testing.T, i *instance, id string) {
	t.Helper()
	var warnings int
	var sources []string
	redistest.Wait(t, "the log line with the router's id", func() bool { // it is written after the answer
		warnings, sources = 0, nil
		for text := range strings.Lines(i.output.String()) {
			var line struct {
				Level     string `json:"level"`
				RequestID string `json:"request_id"`
				Redis     string `json:"redis"`
				Warning   string `json:"warning"`
			}
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
	})
	if warnings != p.unverified || !slices.Equal(sources, []string{p.source}) {
		t.Errorf("the log warns %d times of the certificate, want %d, and names %q as the source, want %s", warnings, p.unverified, sources, p.source)
	}
}

func TestHTTPGoesToHTTPSBehindAPlatformsRouter(t *testing.T) {
	onEach(t, func(t *testing.T, p platform) {
		i := p.start(t, 1, p.redis(t))[0]
		r := newRouter(t, p.router, i)
		v := r.newVisitor(t)
		plain := strings.Replace(site, "https", "http", 1)
		answer := request(t, v.At(plain), http.MethodGet, "/?a=b")
		if got := answer.Header.Get("Location"); answer.Status != http.StatusPermanentRedirect || got != site+"/?a=b" {
			t.Errorf("over http: status %d, Location %q", answer.Status, got)
		}
		if answer.Header.Get("Set-Cookie") != "" {
			t.Error("a cookie came over http")
		}
		if got := visit(t, v).Visits; got != 1 {
			t.Errorf("after the redirect the count is %d: the redirect counted", got)
		}
		if got := visit(t, v).Visits; got != 2 {
			t.Errorf("the visit after that is number %d: the cookie was not sent back over https", got)
		}
		// Even if the router believes a client that claims https for http, the cookie is Secure.
		answer = request(t, r.newVisitor(t).At(plain), http.MethodGet, "/", "X-Forwarded-Proto", "https")
		believed := answer.Status == http.StatusOK && strings.Contains(answer.Header.Get("Set-Cookie"), "; Secure")
		if believed != p.router.passesProto || !believed && answer.Status != http.StatusPermanentRedirect {
			t.Errorf("with a forged X-Forwarded-Proto: status %d", answer.Status)
		}
		// The platform sends health checks directly to the instance, without the router's headers.
		for _, path := range []string{"/healthz", "/readyz", "/"} {
			if got := i.get(t, path); got.Status != http.StatusOK {
				t.Errorf("GET %s without a router: %d", path, got.Status)
			}
		}
	})
}

// TestAVisitorCanChooseAnInstanceOnCloudFoundry proves what the documents show with curl, and with COOKIE_NAME=JSESSIONID.
func TestAVisitorCanChooseAnInstanceOnCloudFoundry(t *testing.T) {
	t.Parallel()
	p := cloudFoundry
	instances := p.start(t, 3, p.redis(t), "COOKIE_NAME="+stickyCookie)
	v := newRouter(t, p.router, instances...).newVisitor(t)
	first := visit(t, v).Instance
	for want := 2; want <= 5; want++ {
		if page := visit(t, v); page.Visits != want || page.Instance != first {
			t.Errorf("visit %d says %d and comes from instance %s, want %s: it does not stick", want, page.Visits, page.Instance, first)
		}
	}
	if page := visit(t, v, "X-Cf-App-Instance", "0a1b2c3d-0000-4000-8000-000000000000:2"); page.Visits != 6 || page.Instance != "2" {
		t.Errorf("visit 6 says %d and comes from instance %s, want 2", page.Visits, page.Instance)
	}
	instances[2].end(t, syscall.SIGKILL)
	if page := visit(t, v); page.Visits != 7 || page.Instance == "2" {
		t.Errorf("after its instance has stopped, visit 7 says %d and comes from instance %s", page.Visits, page.Instance)
	}
}

func TestWithoutARedisTheAppSaysHowToGetOne(t *testing.T) {
	onEach(t, func(t *testing.T, p platform) {
		i := p.start(t, 1, p.unbound)[0]
		r := newRouter(t, p.router, i)
		page := request(t, r.newVisitor(t), http.MethodGet, "/", "Accept", "text/html")
		if page.Status != http.StatusServiceUnavailable || !strings.Contains(page.Body, "No Redis is bound") {
			t.Errorf("status %d:\n%s", page.Status, page.Body)
		}
		answer := request(t, r.newVisitor(t), http.MethodGet, "/")
		wantRefusal(t, answer)
		if commands := strings.Split(explanationIn(t, answer).Hint, "\n")[1:]; !slices.Equal(commands, p.commands) {
			t.Errorf("the commands are %q, want %q", commands, p.commands)
		}
		for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
			if got := i.get(t, path).Status; got != want {
				t.Errorf("GET %s: %d, want %d", path, got, want)
			}
		}
		for _, part := range []string{`"level":"ERROR","msg":"no Redis is configured`, p.commands[0], `"store":"none"`, `"err":"no Redis is configured"`} {
			if !strings.Contains(i.output.String(), part) {
				t.Errorf("the log does not say %s:\n%s", part, i.output.String())
			}
		}
	})
}

// TestAnInstanceListensWithinASecond takes the fastest of a few starts, because a busy machine may slow down any of them. It
// does not run in parallel.
func TestAnInstanceListensWithinASecond(t *testing.T) {
	fastest := time.Hour
	for range 3 {
		began := time.Now()
		cloudFoundry.start(t, 1, "REDIS_URL=redis://127.0.0.1:1")
		fastest = min(fastest, time.Since(began))
	}
	if fastest > startTime {
		t.Errorf("the instance listens after %v, want at most %v", fastest, startTime)
	}
}

// TestTheBinaryThatThePlatformsBuild builds the program with the buildpacks' commands, and runs it as the platforms do.
// (Cloud Foundry's also links a position-independent executable, which makes no difference to the app's code.)
func TestTheBinaryThatThePlatformsBuild(t *testing.T) {
	t.Parallel()
	for _, build := range []struct {
		tag string
		platform
		prove func(*testing.T, *instance)
	}{
		{"heroku", heroku, fitsIntoMemory}, // which sets no memory limit
		{"cloudfoundry", cloudFoundry, func(*testing.T, *instance) {}},
	} {
		t.Run(build.name, func(t *testing.T) {
			bin := t.TempDir()
			install := exec.Command("go", "install", "-tags", build.tag, ".")
			install.Dir = tree
			install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-buildvcs=false") // there may be no repository
			if output, err := install.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", install, err, output)
			}
			files, err := os.ReadDir(bin)
			if err != nil || len(files) != 1 || files[0].Name() != startCommand(t) {
				t.Fatalf("%s made %v, which the Procfile does not start (%v)", install, files, err)
			}
			i := build.startBuilt(t, bin, build.redis(t))
			if name := visit(t, newVisitor(t, i.url), "X-Forwarded-Proto", "https").Instance; name != build.instanceName(0) {
				t.Errorf("the instance is named %s: it has read .env", name)
			}
			build.prove(t, i)
			i.stop(t)
		})
	}
}

// startBuilt starts an instance as the Procfile says, through a shell with bin on its PATH that the process replaces. The
// working directory has a .env, which the instance must not read.
func (p platform) startBuilt(t testing.TB, bin, redis string) *instance {
	t.Helper()
	port := freePort(t)
	env := append(p.environment(0), redis, longTimeout, "PORT="+port, "PATH="+os.Getenv("PATH")+":"+bin)
	cmd := command(t, env, "bash", "-c", startCommand(t))
	dotenv := "COOKIE_NAME=dotenv\nSESSION_STORE=memory\nLOG_FORMAT=text\nINSTANCE=dotenv\nthis line is broken '\n"
	must(t, os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte(dotenv), 0o600))
	i := launch(t, cmd)
	i.url = "http://127.0.0.1:" + port
	i.awaitHealth(t)
	return i
}

// fitsIntoMemory puts an instance under maximum load, with browsers that request the page.
func fitsIntoMemory(t *testing.T, i *instance) {
	const visits, browsers = 4_000, 64
	var load sync.WaitGroup
	for range browsers {
		v := newVisitor(t, i.url)
		load.Go(func() {
			for range visits / browsers {
				answer, err := v.Request(t.Context(), http.MethodGet, "/", "Accept", "text/html", "X-Forwarded-Proto", "https")
				if err != nil || answer.Status != http.StatusOK {
					t.Errorf("under load: status %d, %v", answer.Status, err)
					return
				}
			}
		})
	}
	load.Wait()
	resident := i.memory(t)
	if runtime.GOOS == "linux" { // which also reports the peak
		peak := only(t, fmt.Sprintf("/proc/%d/status", i.cmd.Process.Pid), `^VmHWM:\s+(\d+) kB$`)
		kilobytes, err := strconv.Atoi(peak)
		must(t, err)
		resident = kilobytes << 10
	}
	t.Logf("%.1f MB were resident", float64(resident)/(1<<20))
	if resident > maxResident {
		t.Errorf("want at most %d MB", maxResident>>20)
	}
}
