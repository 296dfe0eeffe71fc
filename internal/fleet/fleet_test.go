package fleet_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"visit-counter/internal/commands"
	"visit-counter/internal/fleet"
	"visit-counter/internal/redistest"
)

// TestMain makes the test binary the program where it is given a command, as a fleet does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(commands.Main())
	}
	os.Exit(m.Run())
}

// start runs a fleet of the program for the test, which ends it.
func start(t *testing.T, o fleet.Options) *fleet.Fleet {
	t.Helper()
	o.Environment = append(o.Environment, "GORACE=atexit_sleep_ms=0")
	f, err := fleet.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

// served is what GET / says of who answered.
type served struct {
	Visits    int       `json:"visits"`
	Instance  string    `json:"instance"`
	StartedAt time.Time `json:"started_at"`
	Store     string    `json:"store"`
}

func get(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(body)
}

func visit(t *testing.T, f *fleet.Fleet) (s served) {
	t.Helper()
	status, body := get(t, http.MethodGet, f.URL()+"/", "Accept", "application/json")
	if status != http.StatusOK {
		t.Fatalf("a visit was answered with %d %s", status, body)
	}
	must(t, json.Unmarshal([]byte(body), &s))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnInstanceThatEndsIsStartedAgain(t *testing.T) {
	f := start(t, fleet.Options{})
	ends := map[string]func(){
		"killed": func() { f.Instances()[0].Kill() },
		"stopped on its page": func() {
			if status, _ := get(t, http.MethodPost, f.URL()+"/stop", "Origin", f.URL()); status != http.StatusAccepted {
				t.Errorf("/stop: %d, want 202", status)
			}
		},
		"restarted":     func() { must(t, f.Instances()[0].Restart(soon(t))) },
		"all restarted": func() { must(t, f.RestartAll(soon(t))) },
	}
	for name, end := range ends {
		before := visit(t, f)
		end()
		redistest.Wait(t, "a later process than the one that was "+name, func() bool {
			status, body := get(t, http.MethodGet, f.URL()+"/", "Accept", "application/json")
			if status != http.StatusOK {
				return false // one that was cut off by the kill is not repeated
			}
			var after served
			must(t, json.Unmarshal([]byte(body), &after))
			return after.Instance == before.Instance && after.StartedAt.After(before.StartedAt)
		})
	}
}

func TestFormsOfThePageAreTakenThroughTheBalancer(t *testing.T) {
	f := start(t, fleet.Options{})
	if status, _ := get(t, http.MethodPost, f.URL()+"/reset", "Origin", f.URL()); status != http.StatusSeeOther {
		t.Errorf("reset from the page itself: %d, want 303", status)
	}
	if status, _ := get(t, http.MethodPost, f.URL()+"/reset", "Origin", "http://elsewhere.example"); status != http.StatusForbidden {
		t.Errorf("reset from another site: %d, want 403", status)
	}
}

func TestWhileRedisIsAwayTheAppItselfSaysSo(t *testing.T) {
	f := start(t, fleet.Options{Instances: 2})
	server := f.RedisServer()
	if server == nil {
		t.Fatal("redis-server is not installed")
	}
	must(t, server.Stop(soon(t)))
	for range 4 {
		status, body := get(t, http.MethodGet, f.URL()+"/")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "Redis") {
			t.Errorf("answer %d %q, want the app's 503 page", status, body)
		}
	}
	must(t, server.Restart(soon(t)))
	must(t, f.Ready(soon(t)))
	visit(t, f)
}

// With everysec, the default, Redis holds writes back while an fsync is under way, and SIGKILL loses what it has answered.
func TestTheFleetsRedisWritesBeforeItAnswers(t *testing.T) {
	f := start(t, fleet.Options{})
	config := redistest.Client(t, f.RedisServer()).ConfigGet(t.Context(), "append*").Val()
	if config["appendonly"] != "yes" || config["appendfsync"] == "everysec" {
		t.Errorf("the fleet's Redis has appendonly %s, appendfsync %s; want a file that SIGKILL takes nothing from",
			config["appendonly"], config["appendfsync"])
	}
}

func TestWithoutRedisServerTheParentHoldsOneThatOutlivesTheInstances(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := start(t, fleet.Options{})
	if f.RedisServer() != nil || !strings.Contains(f.Store(), "not installed") {
		t.Errorf("the store is %q, want the embedded Redis, and to be told so", f.Store())
	}
	if s := visit(t, f); s.Store != "redis" {
		t.Errorf("store = %q, want redis", s.Store)
	}
}

func TestMemoryMeansEachInstanceForItself(t *testing.T) {
	f := start(t, fleet.Options{Memory: true})
	if s := visit(t, f); s.Store != "memory" {
		t.Errorf("store = %q, want memory", s.Store)
	}
}

// script writes a program that is not ours.
func script(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

func TestInstancesThatNeverStartAreAnErrorWithTheirLastWords(t *testing.T) {
	_, err := fleet.Start(soon(t), fleet.Options{Program: script(t, "echo my last words; exit 3"), Memory: true})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "my last words") {
		t.Errorf("err = %v, want the status and the log", err)
	}
}

func TestNothingOfTheUsersEnvironmentReachesAnInstance(t *testing.T) {
	t.Setenv("USERS_API_KEY", "users-api-key")
	t.Setenv("SESSION_SECRET", "users-session-secret")
	var mu sync.Mutex
	var text string
	_, err := fleet.Start(soon(t), fleet.Options{
		Program: script(t, "env; ls -A; exit 1"), Memory: true, Environment: []string{"LOG_LEVEL=debug"},
		Log: func(_, line string) {
			mu.Lock()
			defer mu.Unlock()
			text += line + "\n"
		},
	})
	if err == nil {
		t.Fatal("a program that ends is a fleet that started")
	}
	if !strings.Contains(text, "INSTANCE=web.1") || !strings.Contains(text, "LOG_LEVEL=debug") {
		t.Errorf("the environment of an instance lacks what it needs:\n%s", text)
	}
	if strings.Contains(text, "users-") {
		t.Errorf("the user's secrets are in the environment of an instance:\n%s", text)
	}
	if strings.Contains(text, ".env") || strings.Contains(text, "program") {
		t.Errorf("the directory of an instance is not empty:\n%s", text)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	_, err = fleet.Start(t.Context(), fleet.Options{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "port "+port+" cannot be listened on") {
		t.Errorf("err = %v, want the port and what is wrong with it", err)
	}
}
