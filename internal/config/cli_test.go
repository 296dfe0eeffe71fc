package config_test

import (
	"testing"

	"visit-counter/internal/config"
)

func TestCommandReachesTheConfiguredRedis(t *testing.T) {
	for _, test := range []struct{ name, env, url, want string }{
		{"where redis-cli looks by itself", "REDIS_URL", "redis://127.0.0.1:6379", "redis-cli"},
		{"another port", "REDIS_URL", "redis://localhost:7000", "redis-cli -p 7000"},
		{"another host, a database and a password", "REDIS_URL", "redis://:pw@db.example.com:6379/3", "redis-cli -h db.example.com -n 3 --askpass"},
		{"TLS and a user", "REDIS_URL", "rediss://me:pw@db.example.com:6380", "redis-cli -h db.example.com -p 6380 --tls --user NAME --askpass"},
		{"a socket", "REDIS_URL", "unix:///run/redis.sock", "redis-cli -s /run/redis.sock"},
		{"a Cluster", "REDIS_URL", "redis://a:7000?addr=b:7000", "redis-cli -h a -p 7000 -c"},
		{"Sentinels", "REDIS_URL", "redis://a:26379?master_name=m&addr=b:26379", ""},
		{"none", "OTHER", "x", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := config.Load(func(name string) string {
				if name == test.env {
					return test.url
				}
				return ""
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Redis.CLI(); got != test.want {
				t.Errorf("CLI() = %q, want %q", got, test.want)
			}
		})
	}
}
