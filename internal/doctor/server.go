package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	// untold begins what is said about something that a server does not tell.
	untold = "not told by this Redis"
	// leastRedis is the major version whose scripts may write after they have asked for the time.
	leastRedis = 5
	// nearlyFull is the part of the memory, in percent, from which on there is a warning.
	nearlyFull = 90
)

// learn asks the server about itself. What it refuses to tell is left out; if it stops answering, so is the rest.
func (d *doctor) learn(ctx context.Context, n *node) {
	n.facts = make(map[string]string)
	for _, section := range []string{"server", "replication", "memory", "clients", "persistence"} {
		text, err := ask(ctx, d, func(ctx context.Context) (string, error) { return n.client.Info(ctx, section).Result() })
		if err != nil && !isReply(err) {
			return
		}
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				n.facts[name] = value
			}
		}
	}
	for _, name := range []string{"save", "appendfsync", "maxclients", "bind", "protected-mode"} {
		values, err := ask(ctx, d, func(ctx context.Context) (map[string]string, error) { return n.client.ConfigGet(ctx, name).Result() })
		if err != nil && !isReply(err) {
			return
		}
		if value, ok := values[name]; ok {
			n.facts["config."+name] = value
		}
	}
	d.learnHello(ctx, n)
}

// learnHello asks what every user may ask, if INFO is forbidden.
func (d *doctor) learnHello(ctx context.Context, n *node) {
	if n.facts["redis_version"] != "" {
		return
	}
	hello, err := ask(ctx, d, func(ctx context.Context) (any, error) { return n.client.Do(ctx, "HELLO").Result() })
	about, ok := hello.(map[any]any)
	if err != nil || !ok {
		return
	}
	for name, fact := range map[string]string{"server": "server_name", "version": "redis_version", "mode": "redis_mode", "role": "role"} {
		if value, ok := about[name].(string); ok {
			n.facts[fact] = strings.Replace(value, "replica", "slave", 1) // as INFO calls it
		}
	}
}

// ask asks one question within the time limit.
func ask[T any](ctx context.Context, d *doctor, question func(context.Context) (T, error)) (T, error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	return question(ctx)
}

// isReply reports whether an error is an answer of the server.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// number returns a fact that is a whole number.
func (n *node) number(name string) (int64, bool) {
	value, err := strconv.ParseInt(n.facts[name], 10, 64)
	return value, err == nil
}

// server tells which program in which version it is.
func (d *doctor) server(n *node) {
	const check = "server"
	version := cmp.Or(n.facts["valkey_version"], n.facts["redis_version"])
	product := "Redis"
	if n.facts["valkey_version"] != "" || n.facts["server_name"] == "valkey" {
		product = "Valkey"
	}
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	switch {
	case version == "" || err != nil:
		d.pass(check, n.name, "version %s; whether it suffices is seen at \"store\" below", untold)
	case product == "Redis" && major < leastRedis:
		d.fail(check, n.name, fmt.Sprintf("Redis %s is too old for the store's scripts", version),
			fmt.Sprintf("use Redis %d or later, or Valkey", leastRedis))
	case n.facts["redis_mode"] == "cluster" && n.name == "":
		d.warn(check, n.name, fmt.Sprintf("%s %s is a node of a Cluster, and nothing says so: the app finds it out", product, version), "set REDIS_CLUSTER=true")
	default:
		d.pass(check, n.name, "%s %s, %s", product, version, cmp.Or(n.facts["redis_mode"], "standalone"))
	}
}

// role tells whether the server can be written to.
func (d *doctor) role(n *node) {
	const check = "role"
	switch n.facts["role"] {
	case "master":
		d.pass(check, n.name, "master")
	case "":
		d.pass(check, n.name, "%s; whether it takes writes is seen at \"store\" below", untold)
	default:
		message := "it is a replica, which cannot be written to"
		if host := n.facts["master_host"]; host != "" {
			message += fmt.Sprintf("; its master is %s:%s", host, n.facts["master_port"])
		}
		d.fail(check, n.name, message, "use the master's address in "+d.redis.Source+", or Sentinel's (master_name=...), which follows it")
	}
}

// persist is what to do about a Redis that does not keep its data.
const persist = "CONFIG SET appendonly yes, and the same in redis.conf; of a managed Redis, choose a plan that persists"

// persistence tells what a restart of Redis costs.
func (d *doctor) persistence(n *node) {
	const check = "persistence"
	switch n.facts["aof_enabled"] {
	case "0":
		d.snapshots(n)
	case "1":
		if cmp.Or(n.facts["aof_last_write_status"], "ok") != "ok" {
			d.fail(check, n.name, "the append-only file cannot be written", "look at its log; the disk is probably full")
			return
		}
		d.pass(check, n.name, "append-only file: %s", lossOf(n.facts["config.appendfsync"]))
	default:
		d.warn(check, n.name, untold+"; without, every count is lost when it restarts", "ask whoever runs it; if there is none: "+persist)
	}
}

// snapshots tells what a restart costs without an append-only file.
func (d *doctor) snapshots(n *node) {
	const check = "persistence"
	save, told := n.facts["config.save"]
	switch {
	case cmp.Or(n.facts["rdb_last_bgsave_status"], "ok") != "ok":
		d.warn(check, n.name, "no append-only file, and the last snapshot failed: a restart of Redis goes back to an older one, "+
			"and writes may be refused", "look at its log; the disk is probably full. Then: "+persist)
	case !told:
		d.warn(check, n.name, "no append-only file; whether there are snapshots is "+untold+". Without, every count is lost when it restarts", persist)
	case save == "":
		d.warn(check, n.name, "none: when Redis restarts, every count is lost and starts at 1 again", persist)
	default:
		d.warn(check, n.name, "snapshots only: when Redis crashes, the visits since the last one are lost", persist)
	}
}

// lossOf says what a crash of the machine costs at most.
func lossOf(appendfsync string) string {
	switch appendfsync {
	case "always":
		return "no visit is lost, whatever crashes"
	case "everysec":
		return "a crash of its machine loses the last second or two, one of Redis alone nothing"
	case "no":
		return "a crash of its machine loses what the system has not written yet, half a minute perhaps"
	}
	return "how often it is written to disk is " + untold
}

// memory tells whether there is room, and what happens when there is none.
func (d *doctor) memory(n *node) {
	const check = "memory"
	used, usedTold := n.number("used_memory")
	most, mostTold := n.number("maxmemory")
	policy := n.facts["maxmemory_policy"]
	room := fmt.Sprintf("%s of %s used, %s", megabytes(used), megabytes(most), policy)
	switch {
	case !usedTold || !mostTold:
		d.warn(check, n.name, "limit and policy "+untold+"; whether it takes a write is seen at \"store\" below",
			"ask whoever runs it for maxmemory-policy noeviction and enough room: about 600 bytes a session")
	case most == 0:
		d.pass(check, n.name, "%s used, no limit of its own", megabytes(used))
	case policy != "noeviction":
		d.warn(check, n.name, room+": when it is full, sessions are removed and counts start at 1 again",
			"CONFIG SET maxmemory-policy noeviction (on Heroku: heroku redis:maxmemory --policy noeviction)")
	case used >= most:
		d.fail(check, n.name, room+": it is full, and no visit can be counted", "raise maxmemory (a larger plan), or remove other data from it")
	case used*100 >= most*nearlyFull:
		d.warn(check, n.name, room+": when it is full, no visit can be counted", "raise maxmemory (a larger plan), or lower SESSION_TTL")
	default:
		d.pass(check, n.name, "%s", room)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

// connections tells whether all instances can connect.
func (d *doctor) connections(n *node) {
	const check = "connections"
	const fix = "raise maxclients (a larger plan), lower REDIS_POOL_SIZE, or see with CLIENT LIST who holds the others"
	most, told := n.number("maxclients")
	if !told {
		most, told = n.number("config.maxclients")
	}
	connected, connectedTold := n.number("connected_clients")
	pool := int64(d.cfg.RedisPoolSize)
	all := pool * int64(d.instances)
	left := most - connected + 1 // one of them is ours
	switch {
	case !told || !connectedTold:
		d.warn(check, n.name, "limit "+untold, fmt.Sprintf("ask whoever runs it for %d: %d instances with REDIS_POOL_SIZE %d", all, d.instances, pool))
	case most < all:
		d.warn(check, n.name, fmt.Sprintf("%d at most, but %d instances with REDIS_POOL_SIZE %d need %d", most, d.instances, pool, all), fix)
	case left < pool:
		d.warn(check, n.name, fmt.Sprintf("%d of %d are left: not enough for one more instance with REDIS_POOL_SIZE %d", left, most, pool), fix)
	default:
		d.pass(check, n.name, "%d of %d are left, enough for %d more instances with REDIS_POOL_SIZE %d", left, most, left/pool, pool)
	}
}
