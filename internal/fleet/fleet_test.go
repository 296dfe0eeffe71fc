package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"visit-counter/internal/commands"
	"visit-counter/internal/fleet"
	"visit-counter/internal/proctest"
	"visit-counter/internal/redistest"
	"visit-counter/internal/visitor"
)

var must = redistest.Must

// TestMain lets the test binary act as the program if its first argument is a command: that is how a fleet runs it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(commands.Main())
	}
	os.Exit(m.Run())
}

// start starts a fleet of the program, and closes it at the end of the test.
func start(t *testing.T, o fleet.Options) *fleet.Fleet {
	t.Helper()
	o.Environment = append(o.Environment, "GORACE=atexit_sleep_ms=0")
	f, err := fleet.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnInstanceThatEndsIsStartedAgain(t *testing.T) {
	f := start(t, fleet.Options{})
	v := visitor.New(f.URL(), nil)
	ends := map[string]func(){
		"killed": func() { f.Instances()[0].Kill() },
		"stopped on its page": func() {
			if a, err := v.Request(t.Context(), http.MethodPost, "/stop", "Origin", f.URL()); err != nil || a.Status != http.StatusAccepted {
				t.Errorf("/stop: %d %v, want 202", a.Status, err)
			}
		},
		"restarted":     func() { must(t, f.Instances()[0].Restart(soon(t))) },
		"all restarted": func() { must(t, f.RestartAll(soon(t))) },
	}
	for name, end := range ends {
		before, err := v.Visit(t.Context())
		must(t, err)
		end()
		redistest.Wait(t, "a later process than the one that was "+name, func() bool {
			after, err := v.Visit(t.Context()) // the balancer does not repeat a visit that the kill cut off
			return err == nil && after.Page.Instance == before.Page.Instance && after.Page.StartedAt.After(before.Page.StartedAt)
		})
	}
}

func TestWithoutRedisServerTheParentEmbedsARedis(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := start(t, fleet.Options{})
	if f.RedisServer() != nil || !strings.Contains(f.Store(), "not installed") {
		t.Errorf("the store is %q, want the embedded Redis, and the reason", f.Store())
	}
	if a, err := visitor.New(f.URL(), nil).Visit(t.Context()); err != nil || a.Page.Store != "redis" {
		t.Errorf("store = %q (%v), want redis", a.Page.Store, err)
	}
}

func TestAFleetWithAKilledInstanceIsNotReadyBeforeTheNextProcess(t *testing.T) {
	f := start(t, fleet.Options{})
	v := visitor.New(f.URL(), nil)
	before, err := v.Visit(t.Context())
	must(t, err)
	f.Instances()[0].Kill()
	must(t, f.Ready(soon(t)))
	after, err := v.Visit(t.Context())
	must(t, err)
	if !after.Page.StartedAt.After(before.Page.StartedAt) {
		t.Error("the visit was served by the process that was killed")
	}
}

// script writes a shell script to run in place of the program.
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
	var out proctest.Output
	_, err := fleet.Start(soon(t), fleet.Options{
		Program: script(t, "env; ls -A; exit 1"), Memory: true, Environment: []string{"LOG_LEVEL=debug"},
		Log: func(_, line string) { _, _ = fmt.Fprintln(&out, line) },
	})
	if err == nil {
		t.Fatal("a fleet started although its program exits at once")
	}
	text := out.String()
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
