// Package config turns the environment of the process into a checked [Config]: the app's own variables with their
// defaults, the presets of the platform it runs on, and the address of Redis, wherever the platform has put it.
//
// It opens no connections (only the clients that [Redis.Client] returns do), logs nothing and changes nothing. The table
// of variables is in [Load].
// It is code rather than struct tags because a message has to say what to write instead and must never quote a value,
// which may be a secret.
package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Store says where sessions are kept.
type Store string

// The stores. [Load] returns StoreAuto only on a developer's machine without a configured Redis: the caller then looks for
// one there.
const (
	StoreAuto   Store = "auto"   // the Redis on this machine if there is one, else memory
	StoreRedis  Store = "redis"  // a Redis server
	StoreMemory Store = "memory" // a Redis embedded in the process: the same commands, but the data ends with the process
	StoreNone   Store = "none"   // no Redis is bound on a platform: no visit can be counted
)

// DrainTimeout is how long requests under way may take after SIGTERM: Cloud Foundry kills after 10 seconds.
const DrainTimeout = 7 * time.Second

// Config is the configuration of one process. All of it is checked.
type Config struct {
	Platform Platform
	AppName  string // the app's name on its platform, for display; "" if unknown
	Port     int    // to listen on, all interfaces

	Store         Store
	Redis         Redis         // the zero value unless Store is StoreRedis
	RedisTimeout  time.Duration // max time that one visit waits for Redis, retries included
	RedisPoolSize int           // max connections per Redis node

	SessionSecrets     [][]byte      // the first signs, all verify; nil: use the one shared in Redis
	SessionTTL         time.Duration // whole milliseconds
	SessionMaxLifetime time.Duration // whole milliseconds; 0: no limit

	CookieName string // as configured; see [Config.Cookie]
	KeyPrefix  string // of every key in Redis

	Secure         bool           // redirect to HTTPS, send HSTS, mark the cookie Secure
	TrustedProxies []netip.Prefix // whose X-Forwarded-* headers are trusted; empty: none
	Instance       string         // display name of this process; at most 64 characters, all printable
	DemoControls   bool           // offer POST /stop

	LogLevel  slog.Level
	LogFormat string // "text", "json", or "auto": text on a terminal, else json

	// MemoryLimit is the container's limit in bytes; 0 if there is none, it is unknown, or GOMEMLIMIT is set.
	MemoryLimit int64

	// Warnings are sentences for the operator about settings that work but surprise. None holds a secret.
	Warnings []string
}

// Cookie returns the full name of the session cookie: CookieName, with the __Host- prefix where the cookie is Secure.
// JSESSIONID keeps its bare name: Cloud Foundry's router pins a visitor by exactly that name, and to show this is the only
// reason to choose it.
func (c Config) Cookie() string {
	if c.Secure && c.CookieName != stickyCookie {
		return "__Host-" + c.CookieName
	}
	return c.CookieName
}

// Load reads the configuration from the process environment, whose variables getenv returns, and, outside the platforms,
// from the file .env in the working directory. The error joins all mistakes, one per line; each line starts with the name
// of the wrong variable and says what to write instead. On an error only Platform is set.
func Load(getenv func(name string) string) (Config, error) {
	return newLoader(getenv).load()
}

func (l *loader) load() (Config, error) {
	hosted := l.platform != Local
	logFormat := "auto"
	if hosted {
		logFormat = "json"
	}
	port := setting(l, "PORT", 8080, integer(1, 65535))
	c := Config{
		Platform: l.platform,
		AppName:  l.appName(),
		Port:     port,

		Store: autoSetting(l, "SESSION_STORE", StoreAuto, oneOf("auto, redis or memory",
			map[string]Store{"redis": StoreRedis, "memory": StoreMemory})),

		RedisTimeout:  setting(l, "REDIS_TIMEOUT", time.Second, duration(10*time.Millisecond, maxRedisTimeout)),
		RedisPoolSize: setting(l, "REDIS_POOL_SIZE", 4, integer(1, 1000)),

		SessionSecrets:     setting(l, "SESSION_SECRET", nil, l.secrets),
		SessionTTL:         setting(l, "SESSION_TTL", 24*time.Hour, duration(time.Second, maxTTL)),
		SessionMaxLifetime: setting(l, "SESSION_MAX_LIFETIME", 0, orNone(duration(time.Second, maxTTL))),

		CookieName: setting(l, "COOKIE_NAME", "session", l.cookieName),
		KeyPrefix:  setting(l, "KEY_PREFIX", "visits:", keyPrefix),

		Secure:         autoSetting(l, "FORCE_HTTPS", hosted, oneOf("auto, true or false", booleans)),
		TrustedProxies: autoSetting(l, "TRUSTED_PROXIES", l.routers(), orNone(l.proxies)),
		Instance:       autoSetting(l, "INSTANCE", l.defaultInstance(port), instanceName),
		DemoControls:   setting(l, "DEMO_CONTROLS", false, boolean),

		LogLevel: setting(l, "LOG_LEVEL", slog.LevelInfo, oneOf("debug, info, warn or error", map[string]slog.Level{
			"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError})),
		LogFormat: autoSetting(l, "LOG_FORMAT", logFormat, oneOf("auto, text or json", map[string]string{"text": "text", "json": "json"})),

		MemoryLimit: l.memoryLimit("/sys/fs/cgroup"),
	}
	if c.RedisTimeout > DrainTimeout {
		l.warn("REDIS_TIMEOUT is longer than the %s that a stopping instance gives its last requests: "+
			"a visit that waits longer for Redis is cut off", DrainTimeout)
	}
	if 0 < c.SessionMaxLifetime && c.SessionMaxLifetime < c.SessionTTL {
		l.warn("SESSION_TTL is longer than SESSION_MAX_LIFETIME, which ends every session first")
	}
	l.findRedis(&c)
	c.Warnings = l.warnings
	if len(l.mistakes) > 0 {
		return Config{Platform: l.platform}, errors.Join(l.mistakes...)
	}
	return c, nil
}
