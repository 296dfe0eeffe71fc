package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"visit-counter/internal/config"
	"visit-counter/templates"
)

// manifest is manifest.yml with the keys of the Cloud Controller that the app uses. The Cloud Controller silently ignores
// unknown keys; here they fail the test.
type manifest struct {
	Applications []struct {
		Name                string            `yaml:"name"`
		Instances           int               `yaml:"instances"`
		Memory              string            `yaml:"memory"`
		RandomRoute         bool              `yaml:"random-route"`
		Buildpacks          []string          `yaml:"buildpacks"`
		HealthCheckType     string            `yaml:"health-check-type"`
		HealthCheckEndpoint string            `yaml:"health-check-http-endpoint"`
		Env                 map[string]string `yaml:"env"`
	} `yaml:"applications"`
}

// appJSON is app.json with the keys of Heroku's schema that the app uses.
type appJSON struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Keywords    []string `json:"keywords"`
	Addons      []string `json:"addons"`
	Env         map[string]struct {
		Description string `json:"description"`
		Generator   string `json:"generator"`
	} `json:"env"`
	Formation map[string]struct {
		Quantity int `json:"quantity"`
	} `json:"formation"`
}

// tree is the repository's root, relative to this directory.
const tree = "../.."

// readFile reads a file by its path in the repository, or by an absolute path.
func readFile(t testing.TB, name string) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(tree, name)
	}
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

// only returns the one match of a pattern's group in a file.
func only(t testing.TB, file, pattern string) string {
	t.Helper()
	found := regexp.MustCompile("(?m)"+pattern).FindAllStringSubmatch(readFile(t, file), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d lines like %s, want 1", file, len(found), pattern)
	}
	return found[0][1]
}

func readManifest(t testing.TB) manifest {
	t.Helper()
	var m manifest
	if err := yaml.NewDecoder(strings.NewReader(readFile(t, "manifest.yml")), yaml.Strict()).Decode(&m); err != nil {
		t.Fatalf("manifest.yml: %v", err)
	}
	if len(m.Applications) != 1 {
		t.Fatalf("manifest.yml has %d applications", len(m.Applications))
	}
	return m
}

func readAppJSON(t testing.TB) appJSON {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(readFile(t, "app.json")))
	decoder.DisallowUnknownFields()
	var a appJSON
	if err := decoder.Decode(&a); err != nil {
		t.Fatalf("app.json: %v", err)
	}
	return a
}

// binary is the name that `go install` gives the program: the last element of the module's path.
func binary(t testing.TB) string {
	t.Helper()
	return path.Base(only(t, "go.mod", `^module (\S+)$`))
}

// startCommand is the command of the Procfile's only process.
func startCommand(t testing.TB) string {
	t.Helper()
	return only(t, "Procfile", `^web: (.+)$`)
}

func TestEveryPlatformBuildsWithTheSameGo(t *testing.T) {
	t.Parallel()
	line := only(t, "go.mod", `^go (1\.\d+)\.0$`) // the first release: a platform may not have a later one
	for _, place := range []struct{ name, got string }{
		{"Heroku, by go.mod", only(t, "go.mod", `^// \+heroku goVersion (\S+)$`)},
		{"Cloud Foundry, by manifest.yml", readManifest(t).Applications[0].Env["GOVERSION"]},
		{"CI", "go" + only(t, ".github/workflows/ci.yml", `^ +go-version: "(\S+)"`)},
	} {
		if place.got != "go"+line {
			t.Errorf("%s builds with %s, want go%s", place.name, place.got, line)
		}
	}
	if strings.Contains(readFile(t, "go.mod"), "\ntoolchain ") {
		t.Error("go.mod has a toolchain line, which asks for a Go that a platform may not have")
	}
}

func TestThePlatformsStartTheBinaryThatIsBuilt(t *testing.T) {
	t.Parallel()
	name := binary(t)
	if text := readFile(t, "Procfile"); text != "web: "+name+"\n" {
		t.Errorf("the Procfile is %q, want the one word %s: signals go to that process", text, name)
	}
	if got := only(t, "Makefile", `go build .*-o (\S+) \.$`); got != "bin/"+name {
		t.Errorf("`make build` writes %s, where `heroku local` finds no %s", got, name)
	}
	// Without this line Heroku builds every main package that it finds, including developer tools.
	if got := only(t, "go.mod", `^// \+heroku install (.+)$`); got != "." {
		t.Errorf("Heroku builds %q, want only the package of the root", got)
	}
}

func TestManifestAsksForWhatTheAppNeeds(t *testing.T) {
	t.Parallel()
	app := readManifest(t).Applications[0]
	if app.Name != binary(t) || app.Instances != 4 || app.Memory != "64M" || !app.RandomRoute {
		t.Errorf("name %s, %d instances, memory %s, random route %t", app.Name, app.Instances, app.Memory, app.RandomRoute)
	}
	if !slices.Equal(app.Buildpacks, []string{"go_buildpack"}) || app.HealthCheckType != "http" {
		t.Errorf("buildpacks %q, health check by %s", app.Buildpacks, app.HealthCheckType)
	}
	if strings.Contains(readFile(t, "manifest.yml"), "((") {
		t.Error("manifest.yml has a ((variable)): a plain `cf push` stops there")
	}
	// The health check does not send the router's headers, expects 200, and must not depend on Redis.
	i := start(t, "VCAP_APPLICATION={}")
	if answer := i.get(t, app.HealthCheckEndpoint); answer.Status != http.StatusOK {
		t.Errorf("GET %s is answered with %d", app.HealthCheckEndpoint, answer.Status)
	}
}

func TestHerokuButtonBringsARedis(t *testing.T) {
	t.Parallel()
	app := readAppJSON(t)
	if len(app.Addons) != 1 || app.Formation["web"].Quantity != 1 || len(app.Formation) != 1 {
		t.Errorf("add-ons %q, formation %v", app.Addons, app.Formation)
	}
	if want := "heroku addons:create " + app.Addons[0]; !slices.Contains(templates.NoRedis(config.Heroku, "").Commands, want) {
		t.Errorf("the page of an app without Redis does not show the command %q", want)
	}
}

func TestPlatformFilesSetOnlyVariablesThatAreRead(t *testing.T) {
	t.Parallel()
	known := readFile(t, ".env.example")
	for name, value := range readAppJSON(t).Env {
		if !strings.Contains(known, "\n"+name+"=") || value.Generator != "secret" || value.Description == "" {
			t.Errorf("app.json sets %s to %+v", name, value)
		}
	}
	for name := range readManifest(t).Applications[0].Env {
		if name != "GOVERSION" && !strings.Contains(known, "\n"+name+"=") { // the buildpack reads that one
			t.Errorf("manifest.yml sets %s, which nothing reads", name)
		}
	}
}

func TestSecretsAndBinariesAreNotPushed(t *testing.T) {
	t.Parallel()
	// `cf push` does not look into .gitignore, and `git push` not into .cfignore.
	for _, name := range []string{".env", "bin/", ".redis/"} {
		only(t, ".cfignore", "^("+regexp.QuoteMeta(name)+")$")
		only(t, ".gitignore", "^/?("+regexp.QuoteMeta(name)+")$")
	}
	list := exec.Command("git", "ls-files", "-ci", "--exclude-from=.cfignore")
	list.Dir = tree
	tracked, err := list.Output()
	if err == nil && len(bytes.TrimSpace(tracked)) > 0 {
		t.Errorf("these files are in the repository, but `cf push` leaves them out:\n%s", tracked)
	}
}
