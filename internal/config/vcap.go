package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// service is a service that is bound to the app, as Cloud Foundry describes it.
type service struct {
	names       []string // of the service, its instance and its binding
	label       string
	tags        []string
	credentials fields
}

// binding returns the bound Redis, nil if there is none or if several are bound and none is chosen.
func (l *loader) binding(p place) []*candidate {
	source, services := l.services(p)
	switch chosen := l.choose(services); len(chosen) {
	case 0:
		return nil
	case 1:
		source += " (" + chosen[0].name() + ")"
		c, err := chosen[0].credentials.candidate()
		if err != nil {
			l.fail(source, "%v", err)
			return nil
		}
		c.Source = source
		return []*candidate{c}
	default:
		l.fail(source, "several services look like Redis (%s): set REDIS_SERVICE to the name of one of them", namesOf(chosen))
		return nil
	}
}

// choose returns the services that REDIS_SERVICE names, or else those that look like Redis.
func (l *loader) choose(services []service) []service {
	likely := likelyRedis(services)
	wanted := l.get("REDIS_SERVICE")
	if wanted == "" || len(services) == 0 {
		return likely
	}
	var named []service
	for _, s := range services {
		if slices.Contains(s.names, wanted) {
			named = append(named, s)
		}
	}
	switch {
	case len(named) > 0:
	case len(likely) > 0:
		l.fail("REDIS_SERVICE", "no service of this name is bound; those that look like Redis are: %s", namesOf(likely))
	default:
		l.warn("REDIS_SERVICE names a service that is not bound")
	}
	return named
}

// deliveries are the ways in which a platform describes the bound services. The first one in use wins.
var deliveries = []struct {
	variable string
	read     func(value string) ([]service, error)
}{
	{"VCAP_SERVICES", parseServices},
	{"VCAP_SERVICES_FILE_PATH", readServices},
	{"SERVICE_BINDING_ROOT", readBindings},
}

// services returns all bound services, and the variable that delivers them.
func (l *loader) services(p place) (source string, services []service) {
	for _, d := range deliveries {
		if value := p.get(d.variable); value != "" {
			source = d.variable + p.suffix
			services, err := d.read(value)
			if err != nil {
				l.fail(source, "%v", err)
			}
			return source, services
		}
	}
	return "", nil
}

func parseServices(text string) (services []service, err error) {
	var bound map[string][]map[string]any
	if decode(text, &bound) != nil {
		return nil, errors.New("is not the JSON that Cloud Foundry writes: restage the app (cf restage), or unset it")
	}
	for _, label := range slices.Sorted(maps.Keys(bound)) {
		for _, attributes := range bound[label] {
			f := simplify(attributes)
			services = append(services, newService(label, f, f.nested("credentials")))
		}
	}
	return services, nil
}

func readServices(file string) ([]service, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.New("the file cannot be read: restage the app (cf restage), or unset it")
	}
	return parseServices(string(text))
}

// readBindings reads a directory that has a subdirectory for each binding, with a file for each of its properties, in JSON
// if the property is nested. A service's credentials and attributes share the subdirectory.
func readBindings(folder string) (services []service, err error) {
	root := os.DirFS(folder)
	files, err := fs.Glob(root, "[^.]*/[^.]*") // no hidden ones, such as Kubernetes' ..data
	if err != nil {
		return nil, err
	}
	bindings := make(map[string]map[string]any)
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil || len(text) == 0 {
			continue
		}
		binding, property := path.Split(file)
		if bindings[binding] == nil {
			bindings[binding] = make(map[string]any)
		}
		bindings[binding][property] = decodeFile(string(text))
	}
	for _, binding := range slices.Sorted(maps.Keys(bindings)) {
		f := flatten(bindings[binding])
		s := newService(f.text("type"), f, f)
		s.names = append([]string{path.Clean(binding)}, s.names...)
		services = append(services, s)
	}
	return services, nil
}

func newService(label string, attributes, credentials fields) service {
	names := []string{attributes.text("name"), attributes.text("instancename"), attributes.text("bindingname")}
	return service{
		names:       slices.DeleteFunc(names, func(s string) bool { return s == "" }),
		label:       strings.TrimSpace(label + " " + attributes.text("label")),
		tags:        attributes.texts("tags"),
		credentials: credentials,
	}
}

// decodeFile returns the value of a file that holds a JSON object or list, and the text of any other file.
func decodeFile(text string) any {
	text = strings.TrimRight(text, "\r\n")
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var value any
		if decode(text, &value) == nil {
			return value
		}
	}
	return text
}

// decode reads JSON and keeps numbers as they are written: a password may look like one.
func decode(text string, value any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(value)
}

// likelyRedis returns the services that look like Redis: those whose label, tag or URI says so; if there are none, those
// whose name says so, and plain caches.
func likelyRedis(services []service) []service {
	var sure, perhaps []service
	for _, s := range services {
		switch uri := s.credentials.text(uriNames...); {
		case mentionsRedis(s.label), slices.ContainsFunc(s.tags, mentionsRedis), isRedisURI(uri):
			sure = append(sure, s)
		case strings.Contains(uri, "://"), strings.Contains(strings.ToLower(s.label), "memcache"):
		case slices.ContainsFunc(s.names, mentionsRedis), slices.Equal(s.tags, []string{"cache"}):
			perhaps = append(perhaps, s)
		}
	}
	if len(sure) > 0 {
		return sure
	}
	return perhaps
}

func mentionsRedis(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "redis") || strings.Contains(s, "valkey")
}

func isRedisURI(uri string) bool {
	scheme, _, found := strings.Cut(strings.ToLower(uri), "://")
	return found && slices.Contains([]string{"redis", "rediss", "valkey", "valkeys"}, scheme)
}

func (s service) name() string {
	if len(s.names) > 0 {
		return s.names[0]
	}
	return s.label
}

func namesOf(services []service) string {
	var names []string
	for _, s := range services {
		names = append(names, s.name())
	}
	return strings.Join(names, ", ")
}
