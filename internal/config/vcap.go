package config

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// service is a service bound to the app, as Cloud Foundry describes it.
type service struct {
	source      string // the variable that delivered it
	names       []string
	label       string
	tags        []string
	credentials fields
}

// binding returns the bound Redis, none if there is none or if several are bound and none is chosen.
func (l *loader) binding(get func(string) string, place string) []*candidate {
	chosen := l.choose(l.services(get, place))
	switch len(chosen) {
	case 0:
		return nil
	case 1:
		source := chosen[0].source + " (" + chosen[0].name() + ")"
		c, err := chosen[0].credentials.candidate()
		if err != nil {
			l.fail(source, "%v", err)
			return nil
		}
		c.source = source
		return []*candidate{c}
	}
	l.fail(chosen[0].source, "several services look like Redis (%s): set REDIS_SERVICE to the name of one of them", namesOf(chosen))
	return nil
}

// choose returns the services that REDIS_SERVICE names, or else those that look like Redis.
func (l *loader) choose(services []service) []service {
	likely := redisAmong(services)
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

// services returns all bound services. A platform delivers them in one of three ways.
func (l *loader) services(get func(string) string, place string) []service {
	if text := get("VCAP_SERVICES"); text != "" {
		return l.vcapServices("VCAP_SERVICES"+place, text)
	}
	if file := get("VCAP_SERVICES_FILE_PATH"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			l.fail("VCAP_SERVICES_FILE_PATH"+place, "the file cannot be read: cf restage the app, or unset it")
			return nil
		}
		return l.vcapServices("VCAP_SERVICES_FILE_PATH"+place, string(text))
	}
	if root := get("SERVICE_BINDING_ROOT"); root != "" {
		return servicesIn(root, "SERVICE_BINDING_ROOT"+place)
	}
	return nil
}

func (l *loader) vcapServices(source, text string) (services []service) {
	var bound map[string][]map[string]any
	if decode(text, &bound) != nil {
		l.fail(source, "is not the JSON that Cloud Foundry writes: cf restage the app, or unset it")
		return nil
	}
	for _, label := range slices.Sorted(maps.Keys(bound)) {
		for _, attributes := range bound[label] {
			f := simplify(attributes)
			services = append(services, newService(source, label, f, f.nested("credentials")))
		}
	}
	return services
}

// servicesIn reads a folder for each binding with a file for each of its properties, nested ones in JSON. A service's
// credentials lie beside its attributes.
func servicesIn(root, source string) (services []service) {
	for _, folder := range visible(root) {
		properties := make(map[string]any)
		for _, name := range visible(filepath.Join(root, folder)) {
			text, err := os.ReadFile(filepath.Join(root, folder, name))
			if err == nil && len(text) > 0 {
				properties[name] = decodeFile(string(text))
			}
		}
		if len(properties) > 0 {
			f := flatten(properties)
			s := newService(source, f.text("type"), f, f)
			s.names = append([]string{folder}, s.names...)
			services = append(services, s)
		}
	}
	return services
}

func newService(source, label string, attributes, credentials fields) service {
	names := []string{attributes.text("name"), attributes.text("instancename"), attributes.text("bindingname")}
	return service{
		source:      source,
		names:       slices.DeleteFunc(names, func(s string) bool { return s == "" }),
		label:       strings.TrimSpace(label + " " + attributes.text("label")),
		tags:        attributes.texts("tags"),
		credentials: credentials,
	}
}

// visible returns the names in a folder, without hidden ones such as Kubernetes' ..data; none if it cannot be read.
func visible(folder string) (names []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

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

// decode reads JSON and leaves numbers as they are written: a password may look like one.
func decode(text string, value any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(value)
}

// redisAmong returns the services that look like Redis: those whose label, tag or URI says so; if there are none, those
// whose name says so, and plain caches.
func redisAmong(services []service) []service {
	var sure, perhaps []service
	for _, s := range services {
		switch uri := s.credentials.text(uriNames...); {
		case saysRedis(s.label), slices.ContainsFunc(s.tags, saysRedis), isRedisURI(uri):
			sure = append(sure, s)
		case strings.Contains(uri, "://"), strings.Contains(strings.ToLower(s.label), "memcache"):
		case slices.ContainsFunc(s.names, saysRedis), slices.Equal(s.tags, []string{"cache"}):
			perhaps = append(perhaps, s)
		}
	}
	if len(sure) > 0 {
		return sure
	}
	return perhaps
}

func saysRedis(s string) bool {
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
