package config

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
)

// service is a service bound to the app, as Cloud Foundry describes it.
type service struct {
	source      string // the variable that delivered it
	names       []string
	label       string
	tags        []string
	credentials map[string]any
}

// vcapService is an entry of VCAP_SERVICES.
type vcapService struct {
	Name         string   `json:"name"`
	InstanceName string   `json:"instance_name"`
	BindingName  string   `json:"binding_name"`
	Label        string   `json:"label"`
	Tags         []string `json:"tags"`
	Credentials  any      `json:"credentials"`
}

// binding returns the bound Redis, nil if there is none or if it cannot be told which.
func (r *reader) binding(get func(string) string, place string) *candidate {
	chosen := r.choose(r.services(get, place))
	switch len(chosen) {
	case 0:
		return nil
	case 1:
		c, err := chosen[0].candidate()
		if err != nil {
			r.fail(chosen[0].String(), "%v", err)
			return nil
		}
		c.source = chosen[0].String()
		return c
	}
	r.fail(chosen[0].source, "several services look like Redis (%s): set REDIS_SERVICE to the name of one of them", nameAll(chosen))
	return nil
}

// choose returns the services that REDIS_SERVICE names, or else those that look like Redis.
func (r *reader) choose(services []service) []service {
	lookalikes := likely(services)
	wanted := r.get("REDIS_SERVICE")
	if wanted == "" || len(services) == 0 {
		return lookalikes
	}
	var named []service
	for _, s := range services {
		if slices.Contains(s.names, wanted) {
			named = append(named, s)
		}
	}
	switch {
	case len(named) > 0:
	case len(lookalikes) > 0:
		r.fail("REDIS_SERVICE", "no service of this name is bound; those that look like Redis are: %s", nameAll(lookalikes))
	default:
		r.warn("REDIS_SERVICE names a service that is not bound")
	}
	return named
}

// services returns all bound services. A platform delivers them in one of three ways.
func (r *reader) services(get func(string) string, place string) []service {
	if text := get("VCAP_SERVICES"); text != "" {
		return r.vcapServices("VCAP_SERVICES"+place, text)
	}
	if file := get("VCAP_SERVICES_FILE_PATH"); file != "" {
		text := r.readFile(file)
		if text == "" {
			r.fail("VCAP_SERVICES_FILE_PATH"+place, "the file cannot be read: cf restage the app, or unset it")
			return nil
		}
		return r.vcapServices("VCAP_SERVICES_FILE_PATH"+place, text)
	}
	if root := get("SERVICE_BINDING_ROOT"); root != "" {
		return r.serviceTree("SERVICE_BINDING_ROOT"+place, root)
	}
	return nil
}

func (r *reader) vcapServices(source, text string) []service {
	var bound map[string][]vcapService
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&bound); err != nil {
		r.fail(source, "is not the JSON that Cloud Foundry writes: cf restage the app, or unset it")
		return nil
	}
	var services []service
	for _, label := range slices.Sorted(maps.Keys(bound)) {
		for _, s := range bound[label] {
			credentials, _ := s.Credentials.(map[string]any)
			services = append(services, service{
				source:      source,
				names:       nonEmpty(s.Name, s.InstanceName, s.BindingName),
				label:       label + " " + s.Label,
				tags:        s.Tags,
				credentials: credentials,
			})
		}
	}
	return services
}

// serviceTree reads a folder for each binding with a file for each of its properties, nested ones
// in JSON.
func (r *reader) serviceTree(source, root string) []service {
	var services []service
	for _, folder := range r.readDir(root) {
		credentials := make(map[string]any)
		for _, key := range r.readDir(path.Join(root, folder)) {
			if text := r.readFile(path.Join(root, folder, key)); text != "" {
				credentials[key] = decodeFile(text)
			}
		}
		if len(credentials) == 0 {
			continue
		}
		f := flatten(credentials)
		services = append(services, service{
			source:      source,
			names:       nonEmpty(folder, f.text("name"), f.text("instancename"), f.text("bindingname")),
			label:       f.text("label") + " " + f.text("type"),
			tags:        f.texts("tags"),
			credentials: credentials,
		})
	}
	return services
}

// readDir returns the names in a folder, without those that its delivery needs for itself.
func (r *reader) readDir(folder string) []string {
	if r.env.ReadDir == nil {
		return nil
	}
	entries, err := r.env.ReadDir(folder)
	if err != nil {
		return nil
	}
	var names []string
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
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) == nil {
			return value
		}
	}
	return text
}

// likely returns the services that are Redis to all appearances: those that say so in their
// label, a tag or the scheme of a URI; if there are none, those that do in their name, and plain
// caches.
func likely(services []service) []service {
	var sure, perhaps []service
	for _, s := range services {
		switch uri := flatten(s.credentials).uri(); {
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

// String returns the source with the service's name, as people look for it.
func (s service) String() string {
	return s.source + " (" + s.name() + ")"
}

func (s service) name() string {
	if len(s.names) > 0 {
		return s.names[0]
	}
	return strings.TrimSpace(s.label)
}

func nameAll(services []service) string {
	var names []string
	for _, s := range services {
		names = append(names, s.name())
	}
	return strings.Join(names, ", ")
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}
