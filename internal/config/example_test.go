package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestEnvExampleListsExactlyTheVariablesThatAreRead runs Load in environments that together make it read every variable it
// knows, and compares those with .env.example.
func TestEnvExampleListsExactlyTheVariablesThatAreRead(t *testing.T) {
	t.Setenv("HEROKU_REDIS_AMBER_URL", "the name alone makes Load ask")
	asked := make(map[string]bool)
	environments := []map[string]string{
		{},
		{"DYNO": "web.1"},
		{"VCAP_APPLICATION": "{}", "SERVICE_BINDING_ROOT": "/bindings"},
	}
	for _, values := range environments {
		_, err := Load(func(name string) string {
			asked[name] = true
			return values[name]
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	listed := listedVariables(t)
	for name := range asked {
		if !listed[name] {
			t.Errorf("%s is read but .env.example does not list it with an explanation above it", name)
		}
	}
	for name := range listed {
		if !asked[name] {
			t.Errorf("%s is in .env.example but nothing reads it", name)
		}
	}
	if len(listed) < 35 {
		t.Errorf("found only %v", slices.Sorted(maps.Keys(listed)))
	}
}

// listedVariables returns the variables that .env.example explains.
func listedVariables(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	explained := regexp.MustCompile(`(?m)^# \S+ [^\n]+\n(?:# )?([A-Z][A-Z0-9_]*)=`)
	for _, match := range explained.FindAllStringSubmatch(string(text), -1) {
		listed[match[1]] = true
	}
	return listed
}

func TestEnvExampleCopiedToDotenvMeansTheDefaults(t *testing.T) {
	dotenv, err := readDotenv("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	copied := load(t, environment(nil, dotenv))
	plain := load(t, environment(nil, nil))
	if got, want := dump(copied), dump(plain); got != want {
		t.Errorf("with .env.example:\n%s\nwithout:\n%s", got, want)
	}
}
