// Package config turns the environment of the process into a checked [Config]: the app's own
// variables with their defaults, the presets of the platform it runs on, and the address of
// Redis, wherever the platform has put it.
//
// It reads and decides; it opens no connection, logs nothing and changes nothing. The variables
// are read with a few small functions of its own rather than with a struct-tag library, because
// every message has to name the variable as the reader of .env.example knows it, say what to do,
// and never quote a value that may be secret.
package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Platform is where the process runs, told by the variables that each platform always sets.
type Platform string

// The platforms that have presets of their own; everything that is neither Heroku nor Cloud
// Foundry is Local.
const (
	Local        Platform = "local"
	Heroku       Platform = "heroku"        // DYNO is set
	CloudFoundry Platform = "cloud-foundry" // VCAP_APPLICATION is set
)

// The values of [Config.Store].
const (
	StoreAuto   = "auto"
	StoreRedis  = "redis"
	StoreMemory = "memory"
)

// Environment is everything [Load] may look at. A nil function finds nothing.
type Environment struct {
	Getenv   func(name string) string                 // the process environment
	Dotenv   map[string]string                        // the parsed .env; ignored on a platform
	ReadFile func(name string) ([]byte, error)        // certificates, bindings, container limits
	ReadDir  func(name string) ([]fs.DirEntry, error) // bindings delivered as files
	Hostname func() (string, error)                   // for the name of a local instance
}

// OS returns the environment of this process, with what [ReadDotenv] found in .env.
func OS(dotenv map[string]string) Environment {
	return Environment{
		Getenv:   os.Getenv,
		Dotenv:   dotenv,
		ReadFile: os.ReadFile,
		ReadDir:  os.ReadDir,
		Hostname: os.Hostname,
	}
}

// Config is the configuration of one process. All of it is checked.
type Config struct {
	Platform Platform
	AppName  string // of the app on its platform, for people; "" where it is not known
	Port     int    // to listen on, all interfaces

	// Store is StoreRedis or StoreMemory where that is decided, and StoreAuto where it takes a
	// look at the network: on a developer's machine with no Redis configured. On a platform it
	// is never StoreAuto: with none bound it is StoreRedis and Redis is the zero value.
	Store string

	Redis         Redis         // the zero value where none is configured
	RedisTimeout  time.Duration // most time one visit may wait for Redis, everything included
	RedisPoolSize int           // most connections per Redis node

	SessionSecrets     [][]byte      // the first signs, all verify; nil: use the one shared in Redis
	SessionTTL         time.Duration // whole milliseconds
	SessionMaxLifetime time.Duration // whole milliseconds; 0: no limit

	CookieName string // as configured; see [Config.Cookie]
	KeyPrefix  string // of every key in Redis

	Secure         bool     // redirect to HTTPS, send HSTS, mark the cookie Secure
	TrustedProxies []string // CIDR ranges that may set X-Forwarded-*; empty: nobody
	Instance       string   // name of this process for people; at most 64 characters, all printable
	DemoControls   bool     // offer POST /stop

	LogLevel  slog.Level
	LogFormat string // "text", "json", or "auto": text on a terminal, else json

	// MemoryLimit is the container's limit in bytes, 0 where it is unknown, where there is none
	// and where GOMEMLIMIT has already been set.
	MemoryLimit int64

	// Warnings are whole sentences for the operator about settings that work but surprise.
	// None of them holds a secret.
	Warnings []string
}

// Cookie returns the full name of the session cookie: CookieName, with the __Host- prefix where
// the cookie is Secure. JSESSIONID keeps its bare name, because Cloud Foundry's router pins a
// visitor by exactly that name, and seeing it happen is the only reason to choose it.
func (c Config) Cookie() string {
	if c.Secure && c.CookieName != stickyCookie {
		return "__Host-" + c.CookieName
	}
	return c.CookieName
}

// Load reads the configuration from env. The error joins every mistake there is, one line each;
// each line starts with the name of the variable at fault and says what to write instead. On an
// error only Platform is set.
func Load(env Environment) (Config, error) {
	r := newReader(env)
	c := Config{
		Platform:           r.platform,
		AppName:            r.appName(),
		Port:               r.integer("PORT", 8080, 1, 65535),
		RedisTimeout:       r.duration("REDIS_TIMEOUT", time.Second, 10*time.Millisecond),
		RedisPoolSize:      r.integer("REDIS_POOL_SIZE", 4, 1, 1000),
		SessionSecrets:     r.secrets("SESSION_SECRET"),
		SessionTTL:         r.duration("SESSION_TTL", 24*time.Hour, time.Second),
		SessionMaxLifetime: r.duration("SESSION_MAX_LIFETIME", 0, time.Second),
		CookieName:         r.cookieName("COOKIE_NAME", "session"),
		KeyPrefix:          r.keyPrefix("KEY_PREFIX", "visits:"),
		Secure:             r.boolOrAuto("FORCE_HTTPS", r.platform != Local),
		TrustedProxies:     r.proxies("TRUSTED_PROXIES"),
		DemoControls:       r.boolean("DEMO_CONTROLS", false),
		LogLevel:           r.logLevel("LOG_LEVEL"),
		LogFormat:          r.logFormat("LOG_FORMAT"),
		MemoryLimit:        r.memoryLimit(),
	}
	c.Instance = r.instance("INSTANCE", c.Port)
	r.findRedis(&c)
	c.Warnings = r.warnings
	if len(r.errs) > 0 {
		return Config{Platform: r.platform}, errors.Join(r.errs...)
	}
	return c, nil
}
