package config

import (
	"strings"
	"testing"
)

func TestABindingThatCannotBeUsedIsExplained(t *testing.T) {
	const two = `{"p.redis":[{"name":"one","credentials":{"host":"h","password":"hunter2"}},{"name":"two","credentials":{"host":"h"}}]}`
	for name, tt := range map[string]struct {
		values  map[string]string
		reasons []string
	}{
		"two that look like Redis": {map[string]string{"VCAP_SERVICES": two},
			[]string{"VCAP_SERVICES: ", "one, two", "REDIS_SERVICE"}},
		"two, and a third is named": {map[string]string{"VCAP_SERVICES": two, "REDIS_SERVICE": "three"},
			[]string{"REDIS_SERVICE: ", "one, two"}},
		"no address": {map[string]string{"VCAP_SERVICES": `{"redis":[{"name":"r","credentials":{"password":"hunter2"}}]}`},
			[]string{"VCAP_SERVICES (r): ", "no address"}},
		"no credentials": {map[string]string{"VCAP_SERVICES": `{"redis":[{"name":"r","credentials":null}]}`},
			[]string{"VCAP_SERVICES (r): ", "no address"}},
		"an invalid uri and no fields": {map[string]string{"VCAP_SERVICES": `{"redis":[{"name":"r%s","credentials":{"uri":"redis://:hunter2#@h:1"}}]}`},
			[]string{"VCAP_SERVICES (r%s): ", "%23"}},
		"a CA that is not a certificate": {map[string]string{"VCAP_SERVICES": `{"redis":[{"name":"r","credentials":{"host":"h","tls":true,"ca":"hunter2"}}]}`},
			[]string{"VCAP_SERVICES (r): ", "PEM"}},
		"a missing file": {map[string]string{"VCAP_SERVICES_FILE_PATH": "/nowhere"},
			[]string{"VCAP_SERVICES_FILE_PATH: ", "cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := environment(tt.values, nil).load()
			if err == nil || !strings.HasPrefix(err.Error(), tt.reasons[0]) {
				t.Fatalf("error is %v; want one that starts with %q", err, tt.reasons[0])
			}
			for _, reason := range tt.reasons[1:] {
				if !strings.Contains(err.Error(), reason) {
					t.Errorf("error is %v; want %q in it", err, reason)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a credential is quoted: %v", err)
			}
		})
	}
}

func TestServicesThatAreNotRedisAreLeftAlone(t *testing.T) {
	for name, services := range map[string]string{
		"a database with redis in its name": `{"p.mysql":[{"name":"redis-meta","tags":["mysql"],"credentials":{"uri":"mysql://u:p@h/db"}}]}`,
		"another cache":                     `{"memcached":[{"name":"c","tags":["cache"],"credentials":{"host":"h","port":11211}}]}`,
		"a cache among other tags":          `{"x":[{"name":"c","tags":["cache","http"],"credentials":{"host":"h"}}]}`,
		"no service":                        `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, environment(map[string]string{"VCAP_SERVICES": services, "VCAP_APPLICATION": "{}"}, nil))
			if c.Redis.Options != nil || c.Store != StoreNone {
				t.Errorf("store %s at %q; want none", c.Store, c.Redis.Address())
			}
		})
	}
}

func TestANameInREDIS_SERVICEIsEnough(t *testing.T) {
	services := `{"user-provided":[{"name":"store","instance_name":"store-7","credentials":{"host":"kv","port":"1"}},{"name":"x","credentials":{}}]}`
	for _, wanted := range []string{"store", "store-7"} {
		c := load(t, environment(map[string]string{"VCAP_SERVICES": services, "REDIS_SERVICE": wanted}, nil))
		if c.Redis.Address() != "kv:1" {
			t.Errorf("REDIS_SERVICE=%s: found %q; want kv:1", wanted, c.Redis.Address())
		}
	}
}
