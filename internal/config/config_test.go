package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"visit-counter/internal/redistest"
)

func TestWithoutSettingsADeveloperGetsTheDefaults(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, environment(nil, nil))
	want := Config{
		Platform:      Local,
		Port:          8080,
		Store:         StoreAuto,
		RedisTimeout:  time.Second,
		RedisPoolSize: 4,
		SessionTTL:    24 * time.Hour,
		CookieName:    "session",
		KeyPrefix:     "visits:",
		Instance:      host + ":8080",
		LogLevel:      slog.LevelInfo,
		LogFormat:     "auto",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load() =\n%+v; want\n%+v", got, want)
	}
}

func TestLoadReadsTheFileDotenvOffThePlatformsOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, ".env", "PORT=3000\nREDIS_URL=redis://from.dotenv:1\n")
	c, err := Load(func(string) string { return "" })
	if err != nil || c.Port != 3000 || c.Redis.Source != "REDIS_URL in .env" {
		t.Errorf("port %d, redis from %q, error %v; want the values from .env", c.Port, c.Redis.Source, err)
	}

	writeFile(t, ".env", "hunter2\n")
	if _, err := Load(func(name string) string { return map[string]string{"PORT": "x"}[name] }); err == nil ||
		!strings.Contains(err.Error(), ".env, line 1: ") || !strings.Contains(err.Error(), "PORT: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Load() = %v; want both mistakes, and no text from .env", err)
	}
	for _, platform := range []string{"DYNO", "VCAP_APPLICATION"} {
		c, err := Load(func(name string) string { return map[string]string{platform: "{}"}[name] })
		if err != nil || c.Port != 8080 {
			t.Errorf("%s: port %d, error %v; want that .env is not read", platform, c.Port, err)
		}
	}
}

func TestAPlatformHasItsPresets(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]string
		want   Platform
		named  string
	}{
		"Heroku":        {map[string]string{"DYNO": "web.2"}, Heroku, "web.2"},
		"Cloud Foundry": {map[string]string{"VCAP_APPLICATION": "{}", "CF_INSTANCE_INDEX": "3"}, CloudFoundry, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, environment(tt.values, nil))
			if c.Platform != tt.want || c.Instance != tt.named {
				t.Errorf("platform %s, instance %s; want %s, %s", c.Platform, c.Instance, tt.want, tt.named)
			}
			if !c.Secure || c.LogFormat != "json" || c.Cookie() != "__Host-session" {
				t.Errorf("secure %t, log %s, cookie %s; want true, json, __Host-session", c.Secure, c.LogFormat, c.Cookie())
			}
			if len(c.TrustedProxies) == 0 || c.TrustedProxies[0].String() != "10.0.0.0/8" {
				t.Errorf("trusted proxies are %v; want the private ranges", c.TrustedProxies)
			}
			if c.Store != StoreNone {
				t.Errorf("store is %s; want none, because none is bound", c.Store)
			}
		})
	}
}

func TestTheAppsNameIsThePlatforms(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]string
		want   string
	}{
		"Cloud Foundry's":       {map[string]string{"VCAP_APPLICATION": `{"application_name":"my app","name":"other"}`}, "my app"},
		"Heroku's":              {map[string]string{"DYNO": "web.1", "HEROKU_APP_NAME": "calm-sea-1"}, "calm-sea-1"},
		"not set by Heroku":     {map[string]string{"DYNO": "web.1"}, ""},
		"not set":               {map[string]string{"VCAP_APPLICATION": `{}`}, ""},
		"damaged":               {map[string]string{"VCAP_APPLICATION": `{"application_name":`}, ""},
		"not printable":         {map[string]string{"VCAP_APPLICATION": `{"application_name":"a\nb"}`}, ""},
		"outside the platforms": {map[string]string{"HEROKU_APP_NAME": "calm-sea-1"}, ""},
		"of the other platform": {map[string]string{"VCAP_APPLICATION": `{}`, "HEROKU_APP_NAME": "calm-sea-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := load(t, environment(tt.values, nil)).AppName; got != tt.want {
				t.Errorf("the app's name is %q; want %q", got, tt.want)
			}
		})
	}
}

func TestStore(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]string
		store  Store
		source string
	}{
		"auto with an address is redis":            {map[string]string{"REDIS_URL": "redis://r:1"}, StoreRedis, "REDIS_URL"},
		"auto without an address stays open":       {nil, StoreAuto, ""},
		"memory does not use the address":          {map[string]string{"SESSION_STORE": "memory", "REDIS_URL": "redis://r:1"}, StoreMemory, ""},
		"memory is allowed on a platform":          {map[string]string{"SESSION_STORE": "memory", "DYNO": "web.1"}, StoreMemory, ""},
		"redis without an address is on this host": {map[string]string{"SESSION_STORE": "redis"}, StoreRedis, "SESSION_STORE=redis, default address"},
		"redis on a platform must be bound":        {map[string]string{"SESSION_STORE": "redis", "DYNO": "web.1"}, StoreNone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, environment(tt.values, nil))
			if c.Store != tt.store || c.Redis.Source != tt.source {
				t.Errorf("store %q from %q; want %q from %q", c.Store, c.Redis.Source, tt.store, tt.source)
			}
		})
	}
}

func TestTheFirstPlaceWithARedisWins(t *testing.T) {
	const bound = `{"redis":[{"name":"b","credentials":{"host":"bound","port":1}}]}`
	for name, tt := range map[string]struct {
		values, dotenv map[string]string
		source, addr   string
	}{
		"a binding before every variable": {
			map[string]string{"VCAP_SERVICES": bound, "REDIS_TLS_URL": "rediss://tls:2", "REDIS_URL": "redis://url:3"}, nil, "VCAP_SERVICES (b)", "bound:1"},
		"REDIS_TLS_URL before REDIS_URL": {
			map[string]string{"REDIS_TLS_URL": "rediss://tls:2", "REDIS_URL": "redis://url:3"}, nil, "REDIS_TLS_URL", "tls:2"},
		"REDIS_URL before add-ons": {
			map[string]string{"REDIS_URL": "redis://url:3", "REDISCLOUD_URL": "redis://cloud:4"}, nil, "REDIS_URL", "url:3"},
		"an add-on before .env": {
			map[string]string{"REDISTOGO_URL": "redis://togo:5"}, map[string]string{"REDIS_URL": "redis://dotenv:6"}, "REDISTOGO_URL", "togo:5"},
		".env where there is nothing else": {
			nil, map[string]string{"REDIS_URL": "redis://dotenv:6"}, "REDIS_URL in .env", "dotenv:6"},
		"a real variable before the same in .env": {
			map[string]string{"REDIS_URL": "redis://url:3"}, map[string]string{"REDIS_URL": "redis://dotenv:6"}, "REDIS_URL", "url:3"},
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, environment(tt.values, tt.dotenv)).Redis
			if r.Source != tt.source || r.Options.Addrs[0] != tt.addr {
				t.Errorf("found %s from %s; want %s from %s", r.Options.Addrs[0], r.Source, tt.addr, tt.source)
			}
		})
	}
}

func TestAllMistakesAreReportedTogetherByNameAndWithoutValues(t *testing.T) {
	values := map[string]string{
		"PORT": "99999hunter2", "SESSION_STORE": "hunter2", "REDIS_URL": "redis://u:hunter2@host:6379/hunter2",
		"REDIS_CLUSTER": "hunter2", "REDIS_TLS_CA": "hunter2", "REDIS_TLS_VERIFY": "hunter2", "REDIS_POOL_SIZE": "-hunter2",
		"REDIS_TIMEOUT": "hunter2", "SESSION_SECRET": "hunter2", "SESSION_TTL": "hunter2", "SESSION_MAX_LIFETIME": "hunter2",
		"COOKIE_NAME": "hunter2;", "KEY_PREFIX": "hunter2 ?", "FORCE_HTTPS": "hunter2", "TRUSTED_PROXIES": "hunter2",
		"INSTANCE": "hunter2\x1b[2J", "DEMO_CONTROLS": "hunter2", "LOG_LEVEL": "hunter2", "LOG_FORMAT": "hunter2",
		"VCAP_SERVICES": "{hunter2", "REDISCLOUD_URL": "http://hunter2",
	}
	c, err := environment(values, nil).load()
	if err == nil {
		t.Fatal("no error")
	}
	if !reflect.DeepEqual(c, Config{Platform: c.Platform}) {
		t.Errorf("a configuration was returned despite mistakes: %+v", c)
	}
	for name := range values {
		if !strings.Contains("\n"+err.Error(), "\n"+name+": ") {
			t.Errorf("%s is not named", name)
		}
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != len(values) {
		t.Errorf("%d lines for %d mistakes:\n%v", len(lines), len(values), err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value is quoted:\n%v", err)
	}
}

// TestNoMessageQuotesAValue gives every variable values that are wrong in many ways, in the environment and in .env.
func TestNoMessageQuotesAValue(t *testing.T) {
	forms := []string{
		"hunter2", "/nowhere/hunter2", "hunter2\x00", "hunter2,hunter2", `"hunter2`, "%hunter2", "redis://u:hunter2@host:x", "redis://u:hunter2@host:1/hunter2",
		"rediss://u:%hunter2@host", "redis://u:p@host?hunter2=hunter2", "redis://u:p@host?db=hunter2", "unix://hunter2", "http://hunter2", "redis://u:hunter2#@a,b",
		"redis://u:p@host?addr=hunter2", "redis://u:p@host?master_name=m&addr=hunter2", "-----BEGIN hunter2", `{"hunter2`, `{"redis":"hunter2"}`,
		`{"redis":[{"credentials":{"uri":"redis://:hunter2#@h"}}]}`, `{"redis":[{"credentials":{"host":"h","password":"hunter2","tls":true,"ca":"hunter2"}}]}`,
		`{"redis":[{"credentials":{"password":"hunter2"}}]}`, `{"redis":[{"credentials":"hunter2"}]}`,
	}
	check := func(name, form string, c Config, err error) {
		texts := c.Warnings
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			texts = append(texts, cause.Error())
		}
		for _, text := range texts {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s=%q: %s", name, form, text)
			}
		}
	}
	listed := listedVariables(t)
	t.Setenv("HEROKU_REDIS_AMBER_URL", "the name alone makes Load ask")
	t.Chdir(t.TempDir())
	for name := range listed {
		for _, form := range forms {
			for _, platform := range []string{"", "DYNO", "VCAP_APPLICATION"} {
				c, err := environment(map[string]string{platform: "{}", name: form}, nil).load()
				check(name, form, c, err)
			}
			writeFile(t, ".env", name+"="+form+"\n")
			c, err := Load(func(string) string { return "" })
			check(name+" in .env", form, c, err)
			writeFile(t, ".env", "")
		}
	}
}

// accepts returns the configuration with one variable set; refuses expects an error about it.
func accepts(t *testing.T, name, value string) Config {
	t.Helper()
	return load(t, environment(map[string]string{name: value}, nil))
}

func refuses(t *testing.T, name, value, reason string) {
	t.Helper()
	_, err := environment(map[string]string{name: value}, nil).load()
	if err == nil || !strings.HasPrefix(err.Error(), name) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s=%q: error is %v; want one about %q", name, value, err, reason)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for _, tt := range []struct{ name, value, reason string }{
		{"PORT", "0", "from 1 to 65535"},
		{"PORT", "65536", "from 1 to 65535"},
		{"PORT", "-1", "from 1 to 65535"},
		{"PORT", "80.5", "whole number"},
		{"PORT", "http", "whole number"},
		{"REDIS_POOL_SIZE", "0", "from 1"},
		{"SESSION_TTL", "3600", "with a unit"},
		{"SESSION_TTL", "0s", "at least 1s"},
		{"SESSION_TTL", "-24h", "at least 1s"},
		{"SESSION_TTL", "900ms", "at least 1s"},
		{"SESSION_TTL", "1500.5ms", "whole number of milliseconds"},
		{"SESSION_TTL", "none", "with a unit"},
		{"SESSION_MAX_LIFETIME", "0s", "at least 1s"},
		{"REDIS_TIMEOUT", "0", "at least 10ms"},
		{"REDIS_TIMEOUT", "9ms", "at least 10ms and at most 10s"},
		{"REDIS_TIMEOUT", "10001ms", "at least 10ms and at most 10s"},
		{"REDIS_TIMEOUT", "30s", "at least 10ms and at most 10s"},
		{"SESSION_TTL", "2562047h", "at most"},
		{"SESSION_MAX_LIFETIME", "2562047h", "at most"},
		{"REDIS_TIMEOUT", "5", "with a unit"},
		{"COOKIE_NAME", "my session", "must consist of"},
		{"COOKIE_NAME", "sitzung=", "must consist of"},
		{"COOKIE_NAME", "sécurité", "must consist of"},
		{"COOKIE_NAME", "__Host-session", "without a prefix"},
		{"COOKIE_NAME", "__VCAP_ID__", "router"},
		{"KEY_PREFIX", "a b", "without spaces"},
		{"KEY_PREFIX", "a\nb", "without spaces"},
		{"KEY_PREFIX", "a{b", "between { and }"},
		{"KEY_PREFIX", "{}:", "between { and }"},
		{"FORCE_HTTPS", "maybe", "auto, true or false"},
		{"DEMO_CONTROLS", "auto", "true or false"},
		{"TRUSTED_PROXIES", "10.0.0.0/33", "entry number 1"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,,::1", "entry number 2"},
		{"INSTANCE", "web\n1", "printable"},
		{"INSTANCE", "web\x001", "printable"},
		{"INSTANCE", "web\u202e1", "printable"},
		{"INSTANCE", "web\xff1", "printable"},
		{"INSTANCE", strings.Repeat("w", 65), "64 characters"},
		{"LOG_LEVEL", "loud", "debug, info, warn or error"},
		{"LOG_FORMAT", "xml", "auto, text or json"},
		{"SESSION_STORE", "file", "auto, redis or memory"},
		{"REDIS_TLS_CA", "-----BEGIN CERTIFICATE-----\nnonsense", "holds no certificate"},
		{"VCAP_SERVICES", "[]", "is not the JSON"},
		{"VCAP_SERVICES", `{"p.redis":[{"name":"r","credentials":{"host":"h","port":70000}}]}`, "port in the credentials"},
		{"VCAP_SERVICES", `{"p.redis":[{"name":"r","credentials":{"host":"h","port":6380.0}}]}`, "port in the credentials"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) { refuses(t, tt.name, tt.value, tt.reason) })
	}
}

func TestGoodValuesAreAccepted(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		got         func(Config) any
		want        any
	}{
		{"PORT", " 3000 ", func(c Config) any { return c.Port }, 3000},
		{"REDIS_TIMEOUT", "10ms", func(c Config) any { return c.RedisTimeout }, 10 * time.Millisecond},
		{"REDIS_TIMEOUT", "10s", func(c Config) any { return c.RedisTimeout }, 10 * time.Second},
		{"VCAP_SERVICES", `{"p.redis":[{"name":"r","credentials":{"host":"h:7000","port":"none"}}]}`,
			func(c Config) any { return c.Redis.Address() }, "h:7000"},
		{"SESSION_TTL", "90m", func(c Config) any { return c.SessionTTL }, 90 * time.Minute},
		{"SESSION_TTL", "1500ms", func(c Config) any { return c.SessionTTL }, 1500 * time.Millisecond},
		{"SESSION_MAX_LIFETIME", "720h", func(c Config) any { return c.SessionMaxLifetime }, 720 * time.Hour},
		{"SESSION_MAX_LIFETIME", "none", func(c Config) any { return c.SessionMaxLifetime }, time.Duration(0)},
		{"FORCE_HTTPS", "true", func(c Config) any { return c.Cookie() }, "__Host-session"},
		{"COOKIE_NAME", "sid", func(c Config) any { return c.Cookie() }, "sid"},
		{"KEY_PREFIX", "{app}:", func(c Config) any { return c.KeyPrefix }, "{app}:"},
		{"TRUSTED_PROXIES", "none", func(c Config) any { return len(c.TrustedProxies) }, 0},
		{"TRUSTED_PROXIES", "10.1.2.3/8, ::1", func(c Config) any { return fmt.Sprint(c.TrustedProxies) }, "[10.0.0.0/8 ::1/128]"},
		{"INSTANCE", "Zürich 1", func(c Config) any { return c.Instance }, "Zürich 1"},
		{"INSTANCE", strings.Repeat("ü", 64), func(c Config) any { return c.Instance }, strings.Repeat("ü", 64)},
		{"FOREMAN_WORKER_NAME", "web.3", func(c Config) any { return c.Instance }, "web.3"},
		{"DEMO_CONTROLS", "TRUE", func(c Config) any { return c.DemoControls }, true},
		{"LOG_LEVEL", "DEBUG", func(c Config) any { return c.LogLevel }, slog.LevelDebug},
		{"LOG_FORMAT", "json", func(c Config) any { return c.LogFormat }, "json"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			if got := tt.got(accepts(t, tt.name, tt.value)); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestQuotationMarksAroundAValueAreNotPartOfIt(t *testing.T) {
	values := map[string]string{
		"PORT": "3000", "SESSION_STORE": "redis", "REDIS_URL": "rediss://ann:pw@one:1", "REDIS_CLUSTER": "true", "REDIS_SERVICE": "r",
		"REDIS_TLS_CA": redistest.NewCA(t).PEM, "REDIS_TLS_VERIFY": "false", "REDIS_POOL_SIZE": "7", "REDIS_TIMEOUT": "2s",
		"SESSION_SECRET": "7c1f0a94e2b85d36a0f4c9e81b27d653", "SESSION_TTL": "1h", "SESSION_MAX_LIFETIME": "2h", "COOKIE_NAME": "sid",
		"KEY_PREFIX": "k:", "FORCE_HTTPS": "true", "TRUSTED_PROXIES": "10.0.0.0/8", "INSTANCE": "web", "DEMO_CONTROLS": "true",
		"LOG_LEVEL": "debug", "LOG_FORMAT": "text", "VCAP_SERVICES": `{"redis":[{"name":"r","credentials":{"host":"h","tls":true}}]}`,
	}
	for _, without := range []string{"", "VCAP_SERVICES"} {
		delete(values, without)
		for _, quote := range []string{`"`, `'`} {
			quoted := make(map[string]string)
			for name, value := range values {
				quoted[name] = " " + quote + value + quote + "\n"
			}
			if got, want := load(t, environment(quoted, nil)), load(t, environment(values, nil)); !sameConfig(got, want) {
				t.Errorf("quoted with %s:\n%s; want\n%s", quote, dump(got), dump(want))
			}
		}
	}
}

// sameConfig compares two configurations by value, not by pointers.
func sameConfig(a, b Config) bool {
	if !a.Redis.Options.TLSConfig.RootCAs.Equal(b.Redis.Options.TLSConfig.RootCAs) {
		return false
	}
	ao, bo := *a.Redis.Options, *b.Redis.Options
	a.Redis.Options, b.Redis.Options = nil, nil
	ao.TLSConfig, bo.TLSConfig = nil, nil
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(ao, bo)
}

func TestAnInstanceNamedByTheHostNeverGetsTooLong(t *testing.T) {
	for _, test := range []struct{ host, want string }{
		{strings.Repeat("h", 64), strings.Repeat("h", 58) + ":12345"},
		{"", "localhost:12345"},
		{"a\nb", "localhost:12345"},
	} {
		if got := hostInstance(test.host, 12345); got != test.want {
			t.Errorf("instance on %q is %q; want %q", test.host, got, test.want)
		}
	}
}

func TestJSESSIONIDKeepsItsBareNameAndCausesAWarning(t *testing.T) {
	c := load(t, environment(map[string]string{"COOKIE_NAME": "JSESSIONID", "VCAP_APPLICATION": "{}"}, nil))
	if c.Cookie() != "JSESSIONID" || !c.Secure {
		t.Errorf("cookie %q, secure %t; want the bare name that the router looks for, and Secure", c.Cookie(), c.Secure)
	}
	warned(t, c, "JSESSIONID")
}

func warned(t *testing.T, c Config, of string) {
	t.Helper()
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], of) {
		t.Errorf("warnings are %q; want one about %q", c.Warnings, of)
	}
}

func TestSurprisingSettingsCauseAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]string
		of     string
	}{
		"another Redis is ignored": {
			map[string]string{"REDIS_URL": "redis://u:hunter2@one:1", "REDISCLOUD_URL": "redis://u:hunter2@two:2"}, "other addresses are ignored: REDISCLOUD_URL (two:2)"},
		"Heroku's certificate is not verified": {
			map[string]string{"REDIS_URL": "rediss://:hunter2@one:1", "DYNO": "web.1"}, "cannot be verified"},
		"verification is switched off": {
			map[string]string{"REDIS_URL": "rediss://:hunter2@one:1", "REDIS_TLS_VERIFY": "false"}, "not verified"},
		"verification is switched off in the address": {
			map[string]string{"REDIS_URL": "rediss://:hunter2@one:1?skip_verify=true"}, "not verified"},
		"limits in the address are not used": {
			map[string]string{"REDIS_URL": "redis://one:1?pool_size=99&read_timeout=60s"}, "options without effect: pool_size, read_timeout;"},
		"every proxy is trusted": {
			map[string]string{"TRUSTED_PROXIES": "0.0.0.0/0"}, "trusts every address"},
		"a secret is weak": {
			map[string]string{"SESSION_SECRET": strings.Repeat("ab", 20)}, "easy to guess"},
		"a platform's limit is invalid": {
			map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "plenty"}, "MEMORY_LIMIT"},
		"a visit may take longer than the shutdown": {
			map[string]string{"REDIS_TIMEOUT": "8s"}, "REDIS_TIMEOUT is longer than the 7s"},
		"the maximum lifetime is shorter than the TTL": {
			map[string]string{"SESSION_MAX_LIFETIME": "1h"}, "SESSION_TTL is longer than SESSION_MAX_LIFETIME"},
		"the named service is not bound": {
			map[string]string{"REDIS_SERVICE": "mine", "VCAP_SERVICES": `{"p.mysql":[{"name":"db","credentials":{}}]}`}, "not bound"},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, environment(tt.values, nil))
			warned(t, c, tt.of)
			if strings.Contains(c.Warnings[0], "hunter2") {
				t.Errorf("a password is quoted: %q", c.Warnings)
			}
		})
	}
	same := map[string]string{"REDIS_URL": "redis://:p@one:1", "REDIS_TLS_URL": "rediss://:p@one:2", "REDIS_TLS_VERIFY": "true"}
	if c := load(t, environment(same, nil)); len(c.Warnings) != 0 {
		t.Errorf("two addresses of one server: %q", c.Warnings)
	}
}

func TestTheContainersMemoryLimitIsFound(t *testing.T) {
	const v2, v1 = "memory.max", "memory/memory.limit_in_bytes"
	for name, tt := range map[string]struct {
		values, files map[string]string
		want          int64
	}{
		"MEMORY_LIMIT":                {map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64M"}, nil, 64 << 20},
		"MEMORY_LIMIT in gigabytes":   {map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "1gb"}, nil, 1 << 30},
		"control groups, version 2":   {map[string]string{"DYNO": "web.1"}, map[string]string{v2: "536870912\n"}, 512 << 20},
		"control groups, version 1":   {map[string]string{"DYNO": "web.1"}, map[string]string{v1: "536870912\n"}, 512 << 20},
		"no limit, version 2":         {map[string]string{"DYNO": "web.1"}, map[string]string{v2: "max\n"}, 0},
		"no limit, version 1":         {map[string]string{"DYNO": "web.1"}, map[string]string{v1: "9223372036854771712\n"}, 0},
		"GOMEMLIMIT takes precedence": {map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "64M", "GOMEMLIMIT": "50MiB"}, nil, 0},
		"a developer's machine":       {map[string]string{"MEMORY_LIMIT": "64M"}, map[string]string{v2: "536870912"}, 0},
		"a number that overflows":     {map[string]string{"VCAP_APPLICATION": "{}", "MEMORY_LIMIT": "9000000000T"}, map[string]string{v2: "64"}, 64},
	} {
		t.Run(name, func(t *testing.T) {
			cgroup := t.TempDir()
			for name, text := range tt.files {
				writeFile(t, filepath.Join(cgroup, name), text)
			}
			if got := environment(tt.values, nil).memoryLimit(cgroup); got != tt.want {
				t.Errorf("limit is %d; want %d", got, tt.want)
			}
		})
	}
}
