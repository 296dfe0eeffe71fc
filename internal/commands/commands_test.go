package commands

import (
	"runtime/debug"
	"strings"
	"testing"
)

// command runs a command line in an empty environment.
func command(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e strings.Builder
	status = Run(t.Context(), args, func(string) string { return "" }, &o, &e)
	return status, o.String(), e.String()
}

func TestEveryCommandExplainsItself(t *testing.T) {
	_, list, _ := command(t, "help")
	for _, name := range []string{"serve", "run", "demo", "prove", "doctor", "version"} {
		if !strings.Contains(list, "\n  "+name+" ") {
			t.Errorf("help does not list %s:\n%s", name, list)
		}
		status, out, errOut := command(t, name, "--help")
		if status != 0 || errOut != "" || !strings.HasPrefix(out, "Usage:\n  visit-counter "+name) {
			t.Errorf("%s --help: exit status %d, %q, %q", name, status, out, errOut)
		}
	}
}

func TestVersionTellsTheBuild(t *testing.T) {
	status, out, _ := command(t, "version")
	if status != 0 || !strings.HasPrefix(out, "visit-counter ") || !strings.Contains(out, "\ngo        go1.") {
		t.Errorf("version: exit status %d, %q", status, out)
	}
	got := describe(&debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Path: "visit-counter", Version: "v1.2.3"},
		Deps:      []*debug.Module{{Path: "github.com/redis/go-redis/v9", Version: "v9.23.0"}, {Path: "other", Version: "v9"}},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.time", Value: "2026-11-21T12:00:00Z"},
			{Key: "vcs.modified", Value: "true"}, {Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"},
		},
	})
	const want = `visit-counter v1.2.3
commit    abc123, with changes that are not committed
date      2026-11-21T12:00:00Z
go        go1.26.0 linux/amd64
go-redis  v9.23.0
`
	if got != want {
		t.Errorf("describe = %q, want %q", got, want)
	}
}

func TestDoctorReadsWhatServeReads(t *testing.T) {
	env := map[string]string{"DYNO": "web.1", "TRUSTED_PROXIES": "none"}
	var out, errOut strings.Builder
	status := Run(t.Context(), []string{"doctor"}, func(name string) string { return env[name] }, &out, &errOut)
	if status != 1 || !strings.Contains(out.String(), "heroku addons:create") {
		t.Errorf("doctor: exit status %d, %q, %q", status, out.String(), errOut.String())
	}
}
