package config

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redistest"
)

// fixture is the form in which a broker or an add-on delivers the address of Redis, and the expected outcome.
type fixture struct {
	name     string
	About    string            `json:"about"`
	Env      map[string]string `json:"env"`
	Services json.RawMessage   `json:"services"` // as in VCAP_SERVICES
	Want     outcome           `json:"want"`
}

// outcome is the part of Load's result that a fixture specifies.
type outcome struct {
	Source           string   `json:"source"`
	Addrs            []string `json:"addrs"`
	User             string   `json:"user"`
	Password         string   `json:"password"`
	Database         int      `json:"database"`
	TLS              bool     `json:"tls"`
	Verified         bool     `json:"verified"`
	BringsCA         bool     `json:"brings_ca"`
	Mode             string   `json:"mode"` // single, cluster or sentinel
	Master           string   `json:"master"`
	SentinelUser     string   `json:"sentinel_user"`
	SentinelPassword string   `json:"sentinel_password"`
}

func outcomeOf(r Redis) outcome {
	o := r.Options
	return outcome{
		Source: r.Source, Addrs: o.Addrs, User: o.Username, Password: o.Password, Database: o.DB,
		TLS: o.TLSConfig != nil, Verified: r.Verified(), BringsCA: o.TLSConfig != nil && o.TLSConfig.RootCAs != nil,
		Mode: modeOf(o), Master: o.MasterName, SentinelUser: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
	}
}

// readFixtures returns the fixtures in testdata, with the CA in place of {{CA}} and {{CA_BASE64}}.
func readFixtures(t *testing.T, authority string) []fixture {
	t.Helper()
	quoted, err := json.Marshal(authority)
	if err != nil {
		t.Fatal(err)
	}
	placeholders := strings.NewReplacer(
		`"{{CA}}"`, string(quoted),
		`{{CA_BASE64}}`, base64.StdEncoding.EncodeToString([]byte(authority)))
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d fixtures (%v); want at least 20", len(files), err)
	}
	var fixtures []fixture
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := fixture{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		decoder := json.NewDecoder(strings.NewReader(placeholders.Replace(string(text))))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		fixtures = append(fixtures, f)
	}
	return fixtures
}

// environments returns the fixture in each of the forms in which the platform may deliver it.
func (f fixture) environments(t *testing.T) map[string]*loader {
	t.Helper()
	if f.Services == nil {
		return map[string]*loader{"variable": environment(f.Env, nil)}
	}
	with := func(name, value string) *loader {
		values := map[string]string{"VCAP_APPLICATION": "{}", name: value}
		maps.Copy(values, f.Env)
		return environment(values, nil)
	}
	dir := t.TempDir()
	file, tree := filepath.Join(dir, "vcap"), filepath.Join(dir, "bindings")
	writeFile(t, file, string(f.Services))
	writeBindings(t, tree, f.Services)
	return map[string]*loader{
		"VCAP_SERVICES":           with("VCAP_SERVICES", string(f.Services)),
		"VCAP_SERVICES_FILE_PATH": with("VCAP_SERVICES_FILE_PATH", file),
		"SERVICE_BINDING_ROOT":    with("SERVICE_BINDING_ROOT", tree),
	}
}

// writeBindings writes the services as the Cloud Controller does: a directory for each binding, a file for each top-level
// credential and each attribute, in JSON if the value is not a string.
func writeBindings(t *testing.T, tree string, services json.RawMessage) {
	t.Helper()
	var bound map[string][]struct {
		Name        string                     `json:"name"`
		Tags        json.RawMessage            `json:"tags"`
		Credentials map[string]json.RawMessage `json:"credentials"`
	}
	if err := json.Unmarshal(services, &bound); err != nil {
		t.Fatal(err)
	}
	for label, list := range bound {
		for _, s := range list {
			write := func(key, text string) { writeFile(t, filepath.Join(tree, s.Name, key), text) }
			for key, value := range s.Credentials {
				var text string
				if json.Unmarshal(value, &text) != nil {
					text = string(value)
				}
				write(key, text)
			}
			write("label", label)
			write("type", label)
			write("provider", label)
			write("tags", string(s.Tags))
			write("name", s.Name)
			write("instance-name", s.Name)
			write(".hidden", "not a credential")
		}
	}
}

func TestEachBrokersRedisIsFoundInEveryFormOfDelivery(t *testing.T) {
	authority := redistest.NewCA(t)
	for _, f := range readFixtures(t, authority.PEM) {
		for form, env := range f.environments(t) {
			t.Run(f.name+"/"+form, func(t *testing.T) {
				c := load(t, env)
				if c.Store != StoreRedis || c.Redis.Options == nil {
					t.Fatalf("store is %q with options %v; want redis", c.Store, c.Redis.Options)
				}
				want := f.Want
				want.Source = strings.Replace(want.Source, "VCAP_SERVICES", form, 1)
				if got := outcomeOf(c.Redis); !reflect.DeepEqual(got, want) {
					t.Errorf("got\n%+v; want\n%+v", got, want)
				}
				if shown := c.Redis.Address() + c.Redis.Source; want.Password != "" && strings.Contains(shown, want.Password) {
					t.Errorf("the password is in %q", shown)
				}
				if c.Redis.TLS() != want.TLS {
					t.Errorf("TLS is %t; want %t", c.Redis.TLS(), want.TLS)
				}
			})
		}
	}
}

func modeOf(o *redis.UniversalOptions) string {
	switch {
	case o.MasterName != "":
		return "sentinel"
	case isCluster(o):
		return "cluster"
	}
	return "single"
}
