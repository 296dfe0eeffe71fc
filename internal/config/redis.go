package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// LocalRedis is where the app looks for a developer's own Redis.
const LocalRedis = "127.0.0.1:6379"

// Redis says where Redis is, how the address was found, and how to talk to it. The zero value means that none is
// configured.
type Redis struct {
	// Options is nil if no Redis is configured. Its limits enforce REDIS_TIMEOUT and REDIS_POOL_SIZE, provided that the
	// context of each command has a deadline of REDIS_TIMEOUT. Its TLSConfig has no ServerName: [Redis.Client] verifies
	// each server by the right name, also with a custom Dialer.
	Options *redis.UniversalOptions

	Source string // the setting that was used, for display: "REDIS_URL", "VCAP_SERVICES (my-redis)", "REDIS_URL in .env"
}

// TLS reports whether connections are encrypted.
func (r Redis) TLS() bool { return r.Options != nil && r.Options.TLSConfig != nil }

// Verified reports whether connections are encrypted and the server's certificate is checked.
func (r Redis) Verified() bool { return r.TLS() && !r.Options.TLSConfig.InsecureSkipVerify }

// Client returns a new client of the kind that the options ask for: for a single node, a Cluster, or the master that the
// Sentinels name. It does no I/O; the caller closes it. It panics if no Redis is configured.
func (r Redis) Client() redis.UniversalClient {
	options := *r.Options
	if options.TLSConfig != nil {
		options.Dialer = r.dialTLS
	}
	if !isCluster(&options) {
		return redis.NewUniversalClient(&options)
	}
	cluster := options.Cluster()
	// After a failover, a refused connection does not make the client look for the new master. Only this interval does,
	// and by default it is a minute.
	cluster.ClusterStateReloadInterval = 2 * time.Second
	return redis.NewClusterClient(cluster)
}

// RedisAt returns the Redis at addr, host:port without TLS or password, with the limits of c. Use it for a Redis that was
// found or started rather than configured. source is its name for display.
func (c Config) RedisAt(addr, source string) Redis {
	return c.limit(Redis{Options: &redis.UniversalOptions{Addrs: []string{addr}}, Source: source})
}

// limit sets how long and how often the client tries, and how many connections it opens.
func (c Config) limit(r Redis) Redis {
	o := r.Options
	// An attempt without an answer leaves time for another one. All commands of the store are safe to retry.
	attempt := c.RedisTimeout * 2 / 5
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = attempt, attempt, attempt
	o.PoolTimeout = c.RedisTimeout
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.MaxRetries = -1 // package backend retries, and a Cluster client up to MaxRedirects times
	o.MinRetryBackoff, o.MaxRetryBackoff = 8*time.Millisecond, 64*time.Millisecond

	// PoolSize alone is not a cap, and pipelines would get a pool of their own.
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = c.RedisPoolSize, c.RedisPoolSize, -1
	o.ConnMaxIdleTime = 4 * time.Minute // hosted servers close idle connections after 5 minutes

	o.DisableIdentity = true // CLIENT SETINFO is an error before Redis 7.2
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return r
}

// isCluster reports whether redis.NewUniversalClient makes a Cluster client from o.
func isCluster(o *redis.UniversalOptions) bool {
	return o.MasterName == "" && (o.IsClusterMode || len(o.Addrs) > 1)
}

// hostsOf returns the distinct hosts of o, sorted.
func hostsOf(o *redis.UniversalOptions) []string {
	var hosts []string
	for _, addr := range o.Addrs {
		hosts = append(hosts, hostOf(addr))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// hostOf returns the host of an address, or the path of a socket.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// Address returns where Redis is, for display: "redis.example.com:6380, TLS". It contains no user or password, and is empty
// if no Redis is configured.
func (r Redis) Address() string {
	o := r.Options
	if o == nil {
		return ""
	}
	parts := []string{strings.Join(o.Addrs, " ")}
	switch {
	case o.MasterName != "":
		parts = append(parts, "Sentinel")
	case isCluster(o):
		parts = append(parts, "Cluster")
	}
	if o.DB != 0 {
		parts = append(parts, "database "+strconv.Itoa(o.DB))
	}
	switch {
	case r.Verified():
		parts = append(parts, "TLS")
	case r.TLS():
		parts = append(parts, "TLS, certificate not verified")
	}
	return strings.Join(parts, ", ")
}

// CLI returns the redis-cli command that connects to this Redis, and prompts for the password if there is one. It is empty
// if that takes more than one command, as with Sentinels. NAME is a placeholder for the user.
func (r Redis) CLI() string {
	if r.Options == nil || r.Options.MasterName != "" {
		return ""
	}
	o := r.Options
	command := "redis-cli"
	add := func(needed bool, option string) {
		if needed {
			command += " " + option
		}
	}
	host, port, err := net.SplitHostPort(o.Addrs[0])
	socket := err != nil
	add(socket, "-s "+o.Addrs[0])
	add(!socket && host != "127.0.0.1" && host != "localhost", "-h "+host)
	add(!socket && port != "6379", "-p "+port)
	add(isCluster(o), "-c")
	add(r.TLS(), "--tls")
	add(o.DB != 0, "-n "+strconv.Itoa(o.DB))
	add(o.Username != "", "--user NAME")
	add(o.Password != "", "--askpass")
	return command
}
