package config

import (
	"slices"
	"strings"
)

// candidate is a Redis that somebody has configured: where to dial, and as whom.
type candidate struct {
	Redis
	ca      string   // PEM of an authority to trust beside the system's
	ignored []string // names of settings that were understood and not used
	heroku  bool     // the address comes from Heroku's own variable
}

// findRedis sets c.Redis to the first Redis that is configured, and decides c.Store, which holds what SESSION_STORE says.
func (l *loader) findRedis(c *Config) {
	cluster := setting(l, "REDIS_CLUSTER", false, boolean)
	roots := setting(l, "REDIS_TLS_CA", nil, authorities)
	verify := setting(l, "REDIS_TLS_VERIFY", nil, func(text string) (*bool, error) {
		value, err := boolean(text)
		return &value, err
	})
	found := l.candidates()
	switch {
	case c.Store == StoreMemory:
	case len(found) > 0:
		used := found[0]
		l.warnIgnored(used, found[1:])
		l.applyCluster(used, cluster)
		l.secure(used, roots, verify)
		c.Store, c.Redis = StoreRedis, c.limit(used.Redis)
	case c.Platform != Local:
		c.Store = StoreNone
	case c.Store == StoreRedis:
		c.Redis = c.RedisAt(LocalRedis, "SESSION_STORE=redis, default address")
	}
}

// place is where variables are looked for: the process environment, or .env.
type place struct {
	get    func(name string) string
	suffix string // of the source's name, for people
}

// candidates returns every Redis there is, in the order of precedence: a binding, then the variables, and the same
// again from .env. Without any of these, a Heroku store that is not the app's first counts too.
func (l *loader) candidates() (found []*candidate) {
	dotenv := func(name string) string {
		if l.real(name) != "" {
			return "" // the real variable wins
		}
		return l.get(name)
	}
	for _, p := range []place{{l.real, ""}, {dotenv, " in .env"}} {
		found = slices.Concat(found, l.binding(p), l.variables(p))
	}
	if len(found) == 0 {
		return l.colours()
	}
	return found
}

// fromURL returns the Redis at a URL, none if the URL is wrong.
func (l *loader) fromURL(source, text string, heroku bool) []*candidate {
	c, err := parseURL(text)
	if err != nil {
		l.fail(source, "%v", err)
		return nil
	}
	c.Source, c.heroku = source, heroku
	return []*candidate{c}
}

// warnIgnored warns of options in the address that have no effect, and of another Redis that is configured too.
func (l *loader) warnIgnored(used *candidate, others []*candidate) {
	if len(used.ignored) > 0 {
		l.warn("%s: %s are not used; REDIS_TIMEOUT and REDIS_POOL_SIZE set the limits", used.Source, strings.Join(used.ignored, ", "))
	}
	var ignored []string
	for _, c := range others {
		if !slices.Equal(hostsOf(c.Options), hostsOf(used.Options)) || c.Options.DB != used.Options.DB {
			ignored = append(ignored, c.Source+" ("+c.Address()+")")
		}
	}
	if len(ignored) > 0 {
		l.warn("Redis is taken from %s (%s); ignored, though different: %s",
			used.Source, used.Address(), strings.Join(ignored, ", "))
	}
}

// applyCluster applies REDIS_CLUSTER, and refuses what does not work with a Cluster.
func (l *loader) applyCluster(c *candidate, cluster bool) {
	o := c.Options
	o.IsClusterMode = o.IsClusterMode || cluster
	switch {
	case !o.IsClusterMode:
	case o.MasterName != "" || strings.HasPrefix(o.Addrs[0], "/"):
		l.fail("REDIS_CLUSTER", "does not go together with a socket or Sentinel in %s", c.Source)
	case o.DB != 0:
		l.fail(c.Source, "names a database of a Cluster, which has only number 0: remove it")
	}
}
