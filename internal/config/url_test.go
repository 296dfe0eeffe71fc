package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestTheFormsOfRedisURLAreUnderstood(t *testing.T) {
	for name, tt := range map[string]struct {
		url  string
		want redis.UniversalOptions // of the parts that are compared below
		tls  bool
	}{
		"a host alone":                  {url: "redis://one.example.com", want: redis.UniversalOptions{Addrs: []string{"one.example.com:6379"}}},
		"everything":                    {url: "redis://ann:pw@one:7000/2", want: redis.UniversalOptions{Addrs: []string{"one:7000"}, Username: "ann", Password: "pw", DB: 2}},
		"TLS":                           {url: "rediss://:pw@one:7000", want: redis.UniversalOptions{Addrs: []string{"one:7000"}, Password: "pw"}, tls: true},
		"capital letters in the scheme": {url: "REDIS://one:7000", want: redis.UniversalOptions{Addrs: []string{"one:7000"}}},
		"Valkey":                        {url: "valkeys://one:7000", want: redis.UniversalOptions{Addrs: []string{"one:7000"}}, tls: true},
		"IPv6":                          {url: "redis://:pw@[::1]:7000/", want: redis.UniversalOptions{Addrs: []string{"[::1]:7000"}, Password: "pw"}},
		"a socket":                      {url: "unix://ann:pw@/run/redis.sock?db=3", want: redis.UniversalOptions{Addrs: []string{"/run/redis.sock"}, Username: "ann", Password: "pw", DB: 3}},
		"an escaped password":           {url: "redis://:%23%2F%3F%40%25%3A+=!&@one:1", want: redis.UniversalOptions{Addrs: []string{"one:1"}, Password: "#/?@%:+=!&"}},
		"a database as an option":       {url: "redis://one:1?db=5", want: redis.UniversalOptions{Addrs: []string{"one:1"}, DB: 5}},
		"the old form with redistogo":   {url: "redis://redistogo:pw@host:9712/", want: redis.UniversalOptions{Addrs: []string{"host:9712"}, Password: "pw"}},
		"a Cluster":                     {url: "redis://one:1?addr=two:2", want: redis.UniversalOptions{Addrs: []string{"one:1", "two:2"}, IsClusterMode: true}},
		"a Cluster of one host, TLS":    {url: "rediss://one:1/0?addr=one:2", want: redis.UniversalOptions{Addrs: []string{"one:1", "one:2"}, IsClusterMode: true}, tls: true},
		"a Cluster of two hosts, TLS":   {url: "rediss://one:1?addr=two:2", want: redis.UniversalOptions{Addrs: []string{"one:1", "two:2"}, IsClusterMode: true}, tls: true},
		"a comma in the password":       {url: "redis://ann:p,w@one:1/3", want: redis.UniversalOptions{Addrs: []string{"one:1"}, Username: "ann", Password: "p,w", DB: 3}},
		"several hosts":                 {url: "redis://ann:p,w@one:1,two:2,three", want: redis.UniversalOptions{Addrs: []string{"one:1", "two:2", "three:6379"}, Username: "ann", Password: "p,w", IsClusterMode: true}},
		"several hosts, and options":    {url: "rediss://one,[::1]:2/0?client_name=c", want: redis.UniversalOptions{Addrs: []string{"one:6379", "[::1]:2"}, IsClusterMode: true}, tls: true},
		"several Sentinels": {url: "redis://:spw@one:1,two:2/4?master_name=m&password=pw",
			want: redis.UniversalOptions{Addrs: []string{"one:1", "two:2"}, MasterName: "m", DB: 4, Password: "pw", SentinelPassword: "spw"}},
		"Sentinel": {url: "redis://s:spw@one:1/4?master_name=m&addr=two:2&username=ann&password=pw",
			want: redis.UniversalOptions{Addrs: []string{"one:1", "two:2"}, MasterName: "m", DB: 4, Username: "ann", Password: "pw", SentinelUsername: "s", SentinelPassword: "spw"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := accepts(t, "REDIS_URL", tt.url).Redis
			o := r.Options
			got := redis.UniversalOptions{Addrs: o.Addrs, Username: o.Username, Password: o.Password, DB: o.DB, IsClusterMode: o.IsClusterMode,
				MasterName: o.MasterName, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v; want %+v", got, tt.want)
			}
			if (o.TLSConfig != nil) != tt.tls || r.TLS() != tt.tls || r.Verified() != tt.tls {
				t.Errorf("TLS %t, verified %t; want %t", r.TLS(), r.Verified(), tt.tls)
			}
			if strings.Contains(r.Address(), "pw") || strings.Contains(r.Address(), "p,w") || strings.Contains(r.Address(), "ann") {
				t.Errorf("Address() contains the user or the password: %q", r.Address())
			}
		})
	}
}

func TestAnInvalidURLIsExplainedAndNotQuoted(t *testing.T) {
	for name, tt := range map[string]struct{ url, reason string }{
		"no scheme":                        {"hunter2@host:6379", "does not start with redis://"},
		"two ports":                        {"redis://:hunter2@host:12:13", "no valid port"},
		"a web address":                    {"http://:hunter2@host:6379", "http:// and https:// lead to"},
		"a REST interface":                 {"https://hunter2.upstash.example", "http:// and https:// lead to"},
		"another database":                 {"postgres://u:hunter2@host/db", "does not start with redis://"},
		"nothing but the scheme":           {"redis://", "has no host"},
		"no host":                          {"redis://:hunter2@:6379", "has no host"},
		"a port that is a word":            {"redis://:hunter2@host:port", "no valid port"},
		"a port that is too large":         {"redis://:hunter2@host:65536", "no valid port"},
		"a colon without a port":           {"redis://:hunter2@host:/0", "no valid port"},
		"a database name":                  {"redis://u:hunter2@host:6379/visits", "Redis numbers its databases"},
		"a database name as an option":     {"redis://u:hunter2@host:6379?db=visits", "Redis numbers its databases"},
		"a negative database":              {"redis://u:hunter2@host:6379/-1", "Redis numbers its databases"},
		"a path":                           {"redis://u:hunter2@host:6379/0/hunter2", "Redis numbers its databases"},
		"a database of a Cluster":          {"redis://host:6379/2?addr=two:6379", "only number 0"},
		"an unknown option":                {"redis://u:hunter2@host:6379?ssl_hunter2=1", "an unknown option"},
		"an option's value":                {"rediss://u:hunter2@host:6379?skip_verify=hunter2", "with a wrong value"},
		"a node without a port":            {"redis://u:hunter2@host:6379?addr=hunter2", "with a wrong value"},
		"Sentinel without a name":          {"redis://u:hunter2@host:6379?master_name=", "with a wrong value"},
		"a space":                          {"redis://u:hunter 2@host:6379", "a space"},
		"a quotation mark at the end":      {`redis://u:hunter2@host:6379"`, "quotation mark"},
		"nested quotation marks":           {`'"redis://u:hunter2@host:6379"'`, "quotation mark"},
		"an empty host among several":      {"redis://u:hunter2@one:1,,two:2,hunter2:x", "with a wrong value"},
		"several hosts, # in the password": {"redis://u:hunter2#@one:1,two:2", "%23"},
		"a line break":                     {"redis://u:hunter2\n@host:6379", "a line break"},
		"# in the password":                {"redis://u:hunter2#x@host:6379", "%23"},
		"/ in the password":                {"redis://u:hunter2/x@host:6379", "%2F"},
		"? in the password":                {"redis://u:hunter2?x@host:6379", "%3F"},
		"% in the password":                {"redis://u:hunter2%zz@host:6379", "%25"},
		"[ in the host":                    {"redis://u:hunter2@[host:6379", "is not a valid URL"},
		"a socket without a path":          {"unix://u:hunter2@", "has no socket path"},
		"a socket of a Cluster":            {"unix:///run/hunter2.sock?addr=two:1", "combines a socket"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := environment(map[string]string{"REDIS_URL": tt.url}, nil).load()
			if err == nil || !strings.HasPrefix(err.Error(), "REDIS_URL: ") || !strings.Contains(err.Error(), tt.reason) {
				t.Fatalf("error is %v; want one of REDIS_URL about %q", err, tt.reason)
			}
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				if strings.Contains(cause.Error(), "hunter") {
					t.Errorf("the address is quoted: %v", cause)
				}
			}
		})
	}
}

func TestREDIS_CLUSTER(t *testing.T) {
	with := func(url string) *loader {
		return environment(map[string]string{"REDIS_URL": url, "REDIS_CLUSTER": "true"}, nil)
	}
	if r := load(t, with("redis://one:1")).Redis; !r.Options.IsClusterMode || r.Address() != "one:1, Cluster" {
		t.Errorf("Cluster %t, address %q", r.Options.IsClusterMode, r.Address())
	}
	for url, variable := range map[string]string{
		"redis://one:1/3":             "REDIS_URL",
		"redis://one:1?master_name=m": "REDIS_CLUSTER",
		"unix:///run/redis.sock":      "REDIS_CLUSTER",
	} {
		if _, err := with(url).load(); err == nil || !strings.HasPrefix(err.Error(), variable+": ") {
			t.Errorf("%s: error is %v; want one of %s", url, err, variable)
		}
	}
}

func FuzzNoErrorQuotesTheURL(f *testing.F) {
	for _, seed := range []string{"redis://u:%s@host:6379/0", "rediss://%s:p@host?addr=a:1", "%s", "redis://h:1/%s", "unix://%s", "redis://h?%s=%s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		const secret = "Zx7Qk9Wv"
		_, err := parseURL(strings.ReplaceAll(form, "%s", secret))
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	})
}
