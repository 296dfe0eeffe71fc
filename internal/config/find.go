package config

import (
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// candidate is a Redis that somebody has configured.
type candidate struct {
	source  string
	options *redis.UniversalOptions // where to dial, and as whom
	ca      string                  // PEM of an authority to trust beside the system's
	ignored []string                // names of settings that were understood and not used
	heroku  bool                    // the address comes from Heroku's own variable
}

// findRedis sets c.Redis to the first Redis that is configured, and decides c.Store, which holds what SESSION_STORE says.
func (l *loader) findRedis(c *Config) {
	trust := l.trust()
	cluster := setting(l, "REDIS_CLUSTER", false, boolean)
	found := l.candidates()
	switch {
	case c.Store == StoreMemory:
	case len(found) > 0:
		c.Store = StoreRedis
		l.warnIgnored(found[0], found[1:])
		l.complete(found[0], cluster, trust)
		c.Redis = c.redis(found[0])
	case c.Platform != Local:
		c.Store = StoreNone
	case c.Store == StoreRedis:
		c.Redis = c.RedisAt(LocalRedis, "SESSION_STORE=redis, default address")
	}
}

// candidates returns every Redis there is, in the order of precedence: a binding, then the variables, and the same
// again from .env.
func (l *loader) candidates() []*candidate {
	dotenv := func(name string) string {
		if l.real(name) != "" {
			return ""
		}
		return l.get(name)
	}
	found := slices.Concat(l.binding(l.real, ""), l.variables(l.real, ""))
	if len(found) == 0 {
		found = l.colours()
	}
	return slices.Concat(found, l.binding(dotenv, " in .env"), l.variables(dotenv, " in .env"))
}

// fromURL returns the Redis at a URL, none if the URL is wrong.
func (l *loader) fromURL(source, text string, heroku bool) []*candidate {
	c, err := parseURL(text)
	if err != nil {
		l.fail(source, "%v", err)
		return nil
	}
	c.source, c.heroku = source, heroku
	return []*candidate{c}
}

// warnIgnored warns once if another Redis is configured besides the one that is used.
func (l *loader) warnIgnored(used *candidate, others []*candidate) {
	var ignored []string
	for _, c := range others {
		if !slices.Equal(hostsOf(c.options), hostsOf(used.options)) || c.options.DB != used.options.DB {
			ignored = append(ignored, c.source+" ("+describe(c.options)+")")
		}
	}
	if len(ignored) > 0 {
		l.warn("Redis is taken from %s (%s); ignored, though different: %s",
			used.source, describe(used.options), strings.Join(ignored, ", "))
	}
}

// complete applies the other REDIS_ variables.
func (l *loader) complete(c *candidate, cluster bool, trust trust) {
	if len(c.ignored) > 0 {
		l.warn("%s: %s are not used; REDIS_TIMEOUT and REDIS_POOL_SIZE set the limits", c.source, strings.Join(c.ignored, ", "))
	}
	if cluster {
		c.options.IsClusterMode = true
	}
	switch o := c.options; {
	case !o.IsClusterMode:
	case o.MasterName != "" || strings.HasPrefix(o.Addrs[0], "/"):
		l.fail("REDIS_CLUSTER", "does not go together with a socket or Sentinel in %s", c.source)
	case o.DB != 0:
		l.fail(c.source, "names a database of a Cluster, which has only number 0: remove it")
	}
	l.secure(c, trust)
}
