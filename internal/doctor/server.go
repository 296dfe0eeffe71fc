package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// unknown stands for what a server does not report.
	unknown = "not reported by this Redis"
	// minRedis is the first major version whose scripts may write after they have asked for the time.
	minRedis = 5
	// warnPercent is the share of memory in use from which doctor warns.
	warnPercent = 90
)

// node is one server that keeps sessions.
type node struct {
	addr   string
	name   string // addr where there are several, else ""
	client *redis.Client
	facts  map[string]string // what it reports: the names of INFO, and "config." + those of CONFIG
	skew   time.Duration     // how far its clock is ahead of this machine's
	timed  bool              // skew is known
}

// learn asks the server about itself, in one pipeline, and leaves out what it refuses to report.
func (n *node) learn(ctx context.Context, d *doctor) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	n.facts = make(map[string]string)
	began := time.Now()
	pipe := n.client.Pipeline()
	info := pipe.Info(ctx)
	hello := pipe.Do(ctx, "HELLO") // allowed for every user
	clock := pipe.Time(ctx)
	var settings []*redis.MapStringStringCmd
	for _, name := range []string{"save", "appendfsync", "maxclients", "bind", "protected-mode"} {
		settings = append(settings, pipe.ConfigGet(ctx, name)) // Redis before 7 takes only one name
	}
	_, _ = pipe.Exec(ctx) // each has its own error

	about, _ := hello.Val().(map[any]any)
	for name, fact := range map[string]string{"server": "server_name", "version": "redis_version", "mode": "redis_mode", "role": "role"} {
		if value, ok := about[name].(string); ok {
			n.facts[fact] = strings.Replace(value, "replica", "slave", 1) // as INFO calls it
		}
	}
	for line := range strings.Lines(info.Val()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			n.facts[name] = value
		}
	}
	for _, setting := range settings {
		for name, value := range setting.Val() {
			n.facts["config."+name] = value
		}
	}
	n.skew, n.timed = clock.Val().Sub(began.Add(time.Since(began)/2)).Round(time.Millisecond), clock.Err() == nil
}

// number returns a fact that is a whole number.
func (n *node) number(name string) (int64, bool) {
	value, err := strconv.ParseInt(n.facts[name], 10, 64)
	return value, err == nil
}

// server names the program and its version.
func (d *doctor) server(_ context.Context, n *node) Line {
	version := cmp.Or(n.facts["valkey_version"], n.facts["redis_version"])
	product := "Redis"
	if n.facts["valkey_version"] != "" || n.facts["server_name"] == "valkey" {
		product = "Valkey"
	}
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	switch {
	case version == "" || err != nil:
		return pass("version %s; the check \"store\" below shows whether it suffices", unknown)
	case product == "Redis" && major < minRedis:
		return fail(fmt.Sprintf("Redis %s is too old for the store's scripts", version),
			fmt.Sprintf("use Redis %d or later, or Valkey", minRedis))
	case n.facts["redis_mode"] == "cluster" && n.name == "":
		return warn(fmt.Sprintf("%s %s is a node of a Cluster, but not configured as one: the app detects it", product, version), "set REDIS_CLUSTER=true")
	default:
		return pass("%s %s, %s", product, version, cmp.Or(n.facts["redis_mode"], "standalone"))
	}
}

// role reports whether the server accepts writes.
func (d *doctor) role(_ context.Context, n *node) Line {
	switch n.facts["role"] {
	case "master":
		return pass("master")
	case "":
		return pass("%s; the check \"store\" below shows whether it accepts writes", unknown)
	default:
		message := "it is a replica, which cannot be written to"
		if host := n.facts["master_host"]; host != "" {
			message += fmt.Sprintf("; its master is %s:%s", host, n.facts["master_port"])
		}
		return fail(message, "use the master's address in "+d.redis.Source+", or Sentinel's (master_name=...), which follows it")
	}
}

// The advice for a Redis that does not save its data, and for one that cannot.
const (
	persist  = "CONFIG SET appendonly yes, and the same in redis.conf; for a managed Redis, choose a plan with persistence"
	diskFull = "look at its log; the disk is probably full"
)

// persistence says how much a restart of Redis loses.
func (d *doctor) persistence(_ context.Context, n *node) Line {
	switch n.facts["aof_enabled"] {
	case "0":
		return n.snapshots()
	case "1":
		if cmp.Or(n.facts["aof_last_write_status"], "ok") != "ok" {
			return fail("the append-only file cannot be written", diskFull)
		}
		return pass("append-only file: %s", lossOf(n.facts["config.appendfsync"]))
	default:
		return warn(unknown+"; without it, every count is lost when Redis restarts", "ask its provider; if there is none: "+persist)
	}
}

// snapshots says how much a restart loses without an append-only file.
func (n *node) snapshots() Line {
	save, known := n.facts["config.save"]
	switch {
	case cmp.Or(n.facts["rdb_last_bgsave_status"], "ok") != "ok":
		return warn("no append-only file, and the last snapshot failed: a restart of Redis goes back to an older one, "+
			"and writes may be refused", diskFull+". Then: "+persist)
	case !known:
		return warn("no append-only file; whether there are snapshots is "+unknown+". Without them, every count is lost when Redis restarts", persist)
	case save == "":
		return warn("none: when Redis restarts, every count is lost and starts at 1 again", persist)
	default:
		return warn("snapshots only: when Redis crashes, the visits since the last one are lost", persist)
	}
}

// lossOf says how much a crash can lose. With everysec, Redis delays its writes for up to two seconds while a slow disk is
// still syncing, so visits may be lost even if only Redis is killed.
func lossOf(appendfsync string) string {
	switch appendfsync {
	case "always":
		return "no visit is lost, even if its machine crashes"
	case "everysec":
		return "if Redis or its machine crashes, up to the last two seconds are lost (with appendfsync always, none)"
	case "no":
		return "if its machine crashes, what the system has not yet written is lost, up to about half a minute"
	}
	return "how often it is written to disk is " + unknown
}

// memory reports how much room is left, and what happens when there is none.
func (d *doctor) memory(_ context.Context, n *node) Line {
	used, usedKnown := n.number("used_memory")
	limit, limitKnown := n.number("maxmemory")
	policy := n.facts["maxmemory_policy"]
	room := fmt.Sprintf("%s of %s used, %s", megabytes(used), megabytes(limit), policy)
	switch {
	case !usedKnown || !limitKnown:
		return warn("limit and policy "+unknown+"; the check \"store\" below shows whether it accepts writes",
			"ask its provider for maxmemory-policy noeviction and enough memory: about 600 bytes per session")
	case limit == 0:
		return pass("%s used, no limit of its own", megabytes(used))
	case policy != "noeviction":
		return warn(room+": when it is full, sessions are removed and counts start at 1 again",
			"CONFIG SET maxmemory-policy noeviction (on Heroku: heroku redis:maxmemory --policy noeviction)")
	case used >= limit:
		return fail(room+": it is full, and no visit can be counted", "raise maxmemory (a larger plan), or remove other data from it")
	case used*100 >= limit*warnPercent:
		return warn(room+": when it is full, no visit can be counted", "raise maxmemory (a larger plan), or lower SESSION_TTL")
	default:
		return pass("%s", room)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

// connections reports whether all instances can connect.
func (d *doctor) connections(_ context.Context, n *node) Line {
	const fix = "raise maxclients (a larger plan), lower REDIS_POOL_SIZE, or find the other clients with CLIENT LIST"
	limit, known := n.number("maxclients")
	if !known {
		limit, known = n.number("config.maxclients")
	}
	connected, connectedKnown := n.number("connected_clients")
	pool := int64(d.cfg.RedisPoolSize)
	all := pool * int64(d.instances)
	left := limit - connected + 1 // one of them is doctor's
	switch {
	case !known || !connectedKnown:
		return warn("limit "+unknown, fmt.Sprintf("ask its provider for %d: %d instances with REDIS_POOL_SIZE %d", all, d.instances, pool))
	case limit < all:
		return warn(fmt.Sprintf("at most %d, but %d instances with REDIS_POOL_SIZE %d need %d", limit, d.instances, pool, all), fix)
	case left < pool:
		return warn(fmt.Sprintf("%d of %d are left: not enough for one more instance with REDIS_POOL_SIZE %d", left, limit, pool), fix)
	default:
		return pass("%d of %d are left, enough for %d more instances with REDIS_POOL_SIZE %d", left, limit, left/pool, pool)
	}
}
