// Package e2e has the end-to-end tests: they run the program in processes of its own, beside real servers and browsers.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"visit-counter/internal/commands"
	"visit-counter/internal/redisserver"
	"visit-counter/internal/redistest"
)

// beTheProgram makes the test binary the program itself: so the tests run the real thing in real processes, with the
// race detector in it.
const beTheProgram = "VISIT_COUNTER_BE_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beTheProgram) != "" {
		os.Exit(commands.Main())
	}
	if err := everything.open(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
	code := m.Run()
	chromium.close()
	if err := everything.close(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = 1
	}
	os.Exit(code)
}

// everything is what all processes of all tests have printed and answered, and the secrets that must not be in it.
var everything printed

// printed keeps what is written to it in a file: it becomes about a hundred megabytes, and while a buffer of that size
// grows, all processes wait that want to write to it.
type printed struct {
	mu      sync.Mutex
	file    *os.File
	secrets map[string]string // secret to what it is
}

func (p *printed) open() (err error) {
	p.secrets = make(map[string]string)
	if p.file, err = os.CreateTemp("", "visit-counter-printed-"); err != nil {
		return err
	}
	return os.Remove(p.file.Name()) // it lives until it is closed, and not longer than the process
}

// close returns an error if there are secrets or data races in what was written.
func (p *printed) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { _ = p.file.Close() }()
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(p.file)
	if err != nil {
		return err
	}
	if found := p.leaks(text); len(found) > 0 {
		return fmt.Errorf("secrets in what the tests' processes printed or answered:\n%s", strings.Join(found, "\n"))
	}
	if start := bytes.Index(text, []byte("WARNING: DATA RACE")); start >= 0 {
		return fmt.Errorf("data races in the tests' processes:\n%s", text[start:min(start+3000, len(text))])
	}
	return nil
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file.Write(b)
}

// secret notes a text that nobody may read, as it is or as it stands in a URL.
func (p *printed) secret(what, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		p.secrets[text] = what
	}
}

// mostShown is how many characters of a session id or of a cookie may be shown.
const mostShown = 8

// cookie notes the two parts of a session's cookie: of neither may more than mostShown characters be seen.
func (p *printed) cookie(value string) {
	if id, signature, ok := strings.Cut(value, "."); ok && len(id) > mostShown && len(signature) > mostShown {
		p.secret("a session id", id[:mostShown+1])
		p.secret("a signature", signature[:mostShown+1])
	}
}

// leaks returns the lines of a text with a secret in them.
func (p *printed) leaks(text []byte) (found []string) {
	type start [4]byte
	byStart := make(map[start][]string)
	for secret := range p.secrets {
		byStart[start([]byte(secret))] = append(byStart[start([]byte(secret))], secret)
	}
	for i := range len(text) - len(start{}) {
		for _, secret := range byStart[start(text[i:])] {
			if bytes.HasPrefix(text[i:], []byte(secret)) {
				from, after := bytes.LastIndexByte(text[:i], '\n')+1, bytes.IndexByte(text[i:], '\n')
				found = append(found, p.secrets[secret]+": "+string(text[from:i+max(after, len(secret))]))
			}
		}
	}
	return found
}

// instance is one running process of the program.
type instance struct {
	url    string
	env    []string
	cmd    *exec.Cmd
	output output
	exited chan struct{}
	status int // after exited
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, err := everything.Write(b); err != nil {
		return n, err
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// count returns how many log lines have this message.
func (o *output) count(message string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.text.Bytes(), []byte(`"msg":"`+message+`"`))
}

// launch starts the program with these variables and nothing else in its environment, in an empty folder.
func launch(t testing.TB, env ...string) *instance {
	t.Helper()
	return launchIn(t, t.TempDir(), env...)
}

// launchIn is launch in a folder that is not empty.
func launchIn(t testing.TB, folder string, env ...string) *instance {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Dir = folder
	cmd.Env = append([]string{beTheProgram + "=1", "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...)
	i := launchCommand(t, cmd)
	i.env = env
	return i
}

// launchCommand starts a command that runs the program.
func launchCommand(t testing.TB, cmd *exec.Cmd) *instance {
	t.Helper()
	i := &instance{cmd: cmd, exited: make(chan struct{})}
	i.cmd.Stdout, i.cmd.Stderr = &i.output, &i.output
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = i.cmd.Wait() // the status says it
		i.status = i.cmd.ProcessState.ExitCode()
		close(i.exited)
	}()
	t.Cleanup(func() {
		_ = i.cmd.Process.Kill()
		<-i.exited
		if t.Failed() {
			t.Logf("an instance printed:\n%s", tail(i.output.String(), 4000))
		}
	})
	return i
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// start starts an instance on a free port and waits until it serves.
func start(t testing.TB, env ...string) *instance {
	t.Helper()
	port := freePort(t)
	return startAt(t, "http://127.0.0.1:"+port, append(slices.Clone(env), "PORT="+port)...)
}

// restart starts an instance like i on i's port.
func (i *instance) restart(t testing.TB) *instance {
	t.Helper()
	return startAt(t, i.url, i.env...)
}

func startAt(t testing.TB, url string, env ...string) *instance {
	t.Helper()
	i := launch(t, env...)
	i.url = url
	i.awaitHealth(t)
	return i
}

func (i *instance) awaitHealth(t testing.TB) {
	t.Helper()
	redistest.Wait(t, "the instance to serve", func() bool {
		select {
		case <-i.exited:
			t.Fatalf("the instance ended with status %d:\n%s", i.status, i.output.String())
		default:
		}
		answer, err := http.Get(i.url + "/healthz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// awaitLine waits until the instance has logged the message.
func (i *instance) awaitLine(t testing.TB, message string) {
	t.Helper()
	redistest.Wait(t, "the log to say "+message, func() bool { return i.output.count(message) > 0 })
}

func (i *instance) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := i.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end sends a signal and returns the status with which the process ended, and after how long.
func (i *instance) end(t testing.TB, s syscall.Signal) (status int, after time.Duration) {
	t.Helper()
	began := time.Now()
	i.signal(t, s)
	return i.await(t), time.Since(began)
}

// await returns the status with which the process ends by itself.
func (i *instance) await(t testing.TB) int {
	t.Helper()
	select {
	case <-i.exited:
		return i.status
	case <-time.After(30 * time.Second):
		t.Fatal("the instance does not end")
		return 0
	}
}

// refusesToStart waits until the instance ends by itself, which it must without having served, and after saying all this.
func (i *instance) refusesToStart(t testing.TB, why ...string) {
	t.Helper()
	if status := i.await(t); status != 1 || i.output.count("serving") > 0 {
		t.Errorf("status %d, want 1 before it serves:\n%s", status, i.output.String())
	}
	for _, part := range why {
		if !strings.Contains(i.output.String(), part) {
			t.Errorf("%q is not in:\n%s", part, i.output.String())
		}
	}
}

// freePort returns a port that nobody else is given before the test ends: so an instance can be started there again.
func freePort(t testing.TB) string {
	t.Helper()
	port, err := redisserver.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Release)
	return strconv.Itoa(port.Number)
}

// browser is one visitor. It keeps its cookies over all instances, as behind a router.
type browser struct {
	client *http.Client
	header http.Header // sent with each request
	trace  *httptrace.ClientTrace
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 128
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{
		client: &http.Client{
			Jar: jar, Transport: transport, Timeout: 20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		header: make(http.Header),
	}
}

// response is an answer that has been read.
type response struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

func (b *browser) try(method, address string) (response, error) {
	ctx := context.Background()
	if b.trace != nil {
		ctx = httptrace.WithClientTrace(ctx, b.trace)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return response{}, err
	}
	maps.Copy(request.Header, b.header)
	began := time.Now()
	answer, err := b.client.Do(request)
	if err != nil {
		return response{}, err
	}
	return read(answer, began)
}

// read reads an answer to a request of then to its end, and makes it part of what is searched for secrets.
func read(answer *http.Response, began time.Time) (response, error) {
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	took := time.Since(began)
	if _, err := everything.Write(append(body, '\n')); err != nil {
		return response{}, err
	}
	for _, cookie := range answer.Cookies() {
		everything.cookie(cookie.Value)
	}
	return response{answer.StatusCode, answer.Header, string(body), took}, err
}

func (b *browser) do(t testing.TB, method, address string) response {
	t.Helper()
	answer, err := b.try(method, address)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// visited is the JSON of GET /.
type visited struct {
	Visits           int       `json:"visits"`
	Instance         string    `json:"instance"`
	StartedAt        time.Time `json:"started_at"`
	Store            string    `json:"store"`
	FirstVisitAt     time.Time `json:"first_visit_at"`
	ExpiresInSeconds int       `json:"expires_in_seconds"`
	Processes        []struct {
		Instance  string    `json:"instance"`
		StartedAt time.Time `json:"started_at"`
		Visits    int       `json:"visits"`
		Current   bool      `json:"current"`
	} `json:"processes"`
	EarlierVisits int `json:"earlier_visits"`
	Redis         struct {
		RoundTrips   int     `json:"round_trips"`
		Milliseconds float64 `json:"milliseconds"`
	} `json:"redis"`
}

// tryVisit visits once; ok is false if the visit was not acknowledged. An acknowledged one is checked: its ledger adds
// up, and marks the process that answered.
func (b *browser) tryVisit(t testing.TB, address string) (v visited, answer response, ok bool) {
	t.Helper()
	visitor := &browser{client: b.client, header: b.header.Clone(), trace: b.trace}
	visitor.header.Set("Accept", "application/json")
	answer, err := visitor.try(http.MethodGet, address+"/")
	if err != nil || answer.status != http.StatusOK {
		return visited{}, answer, false
	}
	if err := json.Unmarshal([]byte(answer.body), &v); err != nil {
		t.Errorf("the answer is not JSON: %v\n%s", err, answer.body)
		return visited{}, answer, false
	}
	sum, current := v.EarlierVisits, 0
	for _, p := range v.Processes {
		sum += p.Visits
		if p.Current {
			current++
			if p.Instance != v.Instance || !p.StartedAt.Equal(v.StartedAt) {
				t.Errorf("the marked row is another process's: %s", answer.body)
			}
		}
	}
	if sum != v.Visits || current != 1 || len(v.Processes) > 32 {
		t.Errorf("%d visits, but the ledger has %d, and %d rows of this process: %s", v.Visits, sum, current, answer.body)
	}
	return v, answer, true
}

func (b *browser) visit(t testing.TB, address string) visited {
	t.Helper()
	v, answer, ok := b.tryVisit(t, address)
	if !ok {
		t.Fatalf("a visit was answered with %d: %s", answer.status, answer.body)
	}
	return v
}

// count visits the instances in turn: the visits must be those with the numbers from first to last.
func (b *browser) count(t testing.TB, first, last int, instances ...*instance) {
	t.Helper()
	for want := first; want <= last; want++ {
		if got := b.visit(t, instances[want%len(instances)].url).Visits; got != want {
			t.Fatalf("visit %d says %d", want, got)
		}
	}
}

// cookie returns the browser's session cookie, "" if it has none.
func (b *browser) cookie(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "session") {
			return c.Value
		}
	}
	return ""
}

// calls returns how often Redis ran a command, by its INFO commandstats.
func calls(stats, name string) int {
	_, rest, ok := strings.Cut(stats, "cmdstat_"+name+":calls=")
	if !ok {
		return 0
	}
	number, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.Atoi(number)
	return n
}
