package config

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// candidate is a Redis that somebody has configured.
type candidate struct {
	source   string
	options  *redis.UniversalOptions // where to dial, and as whom
	ca       string                  // PEM of an authority to trust beside the system's
	ignored  []string                // names of settings that were understood and not used
	platform bool                    // the address comes from the platform's own variable
}

// findRedis looks for Redis in all the places where it can be configured and fills in c.Store and
// c.Redis. The first place wins.
func (r *reader) findRedis(c *Config) {
	store := r.store("SESSION_STORE")
	security := r.tlsSettings()
	cluster := r.boolean("REDIS_CLUSTER", false)
	found := r.candidates()
	switch {
	case store == StoreMemory:
		c.Store = StoreMemory
	case len(found) > 0:
		c.Store = StoreRedis
		r.warnOfLosers(found[0], found[1:])
		r.settle(found[0], cluster, security)
		c.Redis = c.redis(found[0])
	case store == StoreRedis && c.Platform == Local:
		c.Store = StoreRedis
		c.Redis = c.RedisAt("127.0.0.1:6379", "SESSION_STORE=redis, default address")
	case c.Platform == Local:
		c.Store = StoreAuto
	default:
		c.Store = StoreRedis
	}
}

func (r *reader) store(name string) string {
	v := r.get(name)
	switch v {
	case "":
		return StoreAuto
	case StoreAuto, StoreRedis, StoreMemory:
		return v
	}
	r.fail(name, "must be auto, redis or memory")
	return StoreAuto
}

// candidates returns every Redis there is, in the order of precedence: a binding, then the
// variables, and the same again from .env.
func (r *reader) candidates() []*candidate {
	dotenv := func(name string) string {
		if r.real(name) != "" {
			return ""
		}
		return strings.TrimSpace(r.env.Dotenv[name])
	}
	return append(r.candidatesIn(r.real, ""), r.candidatesIn(dotenv, " in .env")...)
}

func (r *reader) candidatesIn(get func(string) string, place string) []*candidate {
	var found []*candidate
	if bound := r.binding(get, place); bound != nil {
		found = append(found, bound)
	}
	own := []string{"REDIS_TLS_URL", "REDIS_URL"}
	addons := []string{
		"REDISCLOUD_URL", "STACKHERO_REDIS_URL_TLS", "STACKHERO_REDIS_URL_CLEAR",
		"MEMETRIA_REDIS_URL", "REDISGREEN_URL", "OPENREDIS_URL", "REDISTOGO_URL",
	}
	for _, name := range slices.Concat(own, addons) {
		value := get(name)
		if value == "" {
			continue
		}
		c, err := parseURL(value)
		if err != nil {
			r.fail(name+place, "%v", err)
			continue
		}
		c.source = name + place
		c.platform = slices.Contains(own, name)
		found = append(found, c)
	}
	return found
}

// warnOfLosers says so, once, if another Redis is configured than the one that is used.
func (r *reader) warnOfLosers(winner *candidate, losers []*candidate) {
	var others []string
	for _, c := range losers {
		if !slices.Equal(hostsOf(c.options), hostsOf(winner.options)) || c.options.DB != winner.options.DB {
			others = append(others, c.source+" ("+describe(c.options)+")")
		}
	}
	if len(others) > 0 {
		r.warn("Redis is taken from %s (%s); ignored, though different: %s",
			winner.source, describe(winner.options), strings.Join(others, ", "))
	}
}

// settle applies to the winner what the other REDIS_ variables say.
func (r *reader) settle(c *candidate, cluster bool, security tlsSettings) {
	if len(c.ignored) > 0 {
		r.warn("%s: %s are not used; REDIS_TIMEOUT and REDIS_POOL_SIZE set the limits", c.source, strings.Join(c.ignored, ", "))
	}
	if cluster {
		c.options.IsClusterMode = true
	}
	switch o := c.options; {
	case !o.IsClusterMode:
	case o.MasterName != "" || strings.HasPrefix(o.Addrs[0], "/"):
		r.fail("REDIS_CLUSTER", "does not go together with a socket or Sentinel in %s", c.source)
	case o.DB != 0:
		r.fail(c.source, "names a database of a Cluster, which has only number 0: remove it")
	}
	r.secure(c, security)
}

// tlsSettings is what REDIS_TLS_VERIFY and REDIS_TLS_CA say.
type tlsSettings struct {
	verifySet, verify bool
	roots             *x509.CertPool // nil: REDIS_TLS_CA is not set
}

func (r *reader) tlsSettings() tlsSettings {
	s := tlsSettings{
		verifySet: r.get("REDIS_TLS_VERIFY") != "",
		verify:    r.boolean("REDIS_TLS_VERIFY", true),
	}
	text := r.get("REDIS_TLS_CA")
	if text == "" {
		return s
	}
	if strings.HasPrefix(text, "-----BEGIN") {
		text = strings.ReplaceAll(text, `\n`, "\n") // some tools keep a variable on one line
	} else if text = r.readFile(text); text == "" {
		r.fail("REDIS_TLS_CA", "is neither the text of a certificate (-----BEGIN CERTIFICATE-----) nor a file that can be read")
		return s
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM([]byte(text)) {
		r.fail("REDIS_TLS_CA", "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return s
}

// secure decides whom a TLS connection trusts.
func (r *reader) secure(c *candidate, security tlsSettings) {
	o := c.options.TLSConfig
	if o == nil {
		if security.roots != nil {
			r.warn("REDIS_TLS_CA has no effect: the address from %s does not use TLS (rediss://)", c.source)
		}
		return
	}
	o.RootCAs = security.roots
	if o.RootCAs == nil && c.ca != "" {
		o.RootCAs = r.systemRootsWith(c)
	}
	r.verify(c, security)
}

// verify decides whether the server's certificate is checked. Heroku's own Redis has one that no
// public authority signed, so there, and only there, it cannot be by default.
func (r *reader) verify(c *candidate, security tlsSettings) {
	o := c.options.TLSConfig
	onHeroku := r.platform == Heroku && c.platform
	switch {
	case security.verifySet:
		o.InsecureSkipVerify = !security.verify
	case security.roots != nil:
		o.InsecureSkipVerify = false
	case onHeroku:
		o.InsecureSkipVerify = true
	}
	switch {
	case !o.InsecureSkipVerify:
	case onHeroku:
		r.warn("%s: the connection is encrypted, but Heroku's certificate cannot be verified; set REDIS_TLS_CA to verify it", c.source)
	default:
		r.warn("%s: the server's certificate is not verified: anybody between here and there can pose as it", c.source)
	}
}

// systemRootsWith returns the system's authorities and the candidate's own.
func (r *reader) systemRootsWith(c *candidate) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(c.ca)) {
		r.fail(c.source, "the certificate in the credentials is not in PEM form: bind the service again, or set REDIS_TLS_CA")
	}
	return roots
}
