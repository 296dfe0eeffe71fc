package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/backend"
	"visit-counter/internal/redisfault"
)

// sentinels asks every Sentinel for the master. The app uses the first answer.
func (d *doctor) sentinels(ctx context.Context) (lines []Line) {
	if d.redis.Options.MasterName == "" {
		return nil
	}
	var masters []string
	for _, addr := range d.redis.Options.Addrs {
		master, err := d.askSentinel(ctx, addr)
		var l Line
		switch {
		case errors.Is(err, redis.Nil):
			l = fail("it monitors no master with this name", "correct master_name in "+d.redis.Source)
		case err != nil:
			l = failed(err)
		default:
			d.master = cmp.Or(d.master, master)
			masters = append(masters, master)
			l = pass("the master is %s", master)
		}
		l.Node = addr
		lines = append(lines, l)
	}
	if slices.Sort(masters); len(slices.Compact(masters)) > 1 {
		lines = append(lines, warn("the Sentinels do not agree on the master", "wait until a failover is over; if they still disagree, look at their logs"))
	}
	return oneIsEnough(lines)
}

func (d *doctor) askSentinel(ctx context.Context, addr string) (master string, err error) {
	o := d.redis.Options
	client := redis.NewSentinelClient(d.optionsFor(addr, o.SentinelUsername, o.SentinelPassword))
	defer func() { _ = client.Close() }()
	ctx, cancel := d.limited(ctx)
	defer cancel()
	hostPort, err := client.GetMasterAddrByName(ctx, o.MasterName).Result()
	if err != nil {
		return "", err
	}
	if len(hostPort) != 2 {
		return "", redis.Nil
	}
	return net.JoinHostPort(hostPort[0], hostPort[1]), nil
}

// optionsFor returns the configured options for the server at addr, with these credentials. With "" the client does not
// log in.
func (d *doctor) optionsFor(addr, user, password string) *redis.Options {
	o := d.redis.Options.Simple()
	o.Addr, o.DB, o.Username, o.Password = addr, 0, user, password
	o.TLSConfig = d.redis.TLSFor(addr)
	return o
}

// login sends the first commands, finds the servers that keep sessions, and asks each about itself.
func (d *doctor) login(ctx context.Context) []Line {
	d.client, d.close = backend.Connect(d.redis)
	nodes, err := d.findNodes(ctx)
	if err != nil {
		if _, answered := errors.AsType[redis.Error](err); !answered && d.speaksTLS(ctx) {
			err = redisfault.WantsTLS
		}
		return []Line{failed(err)}
	}
	d.nodes = nodes
	for _, n := range nodes {
		n.learn(ctx, d)
	}
	if o := d.redis.Options; o.Password != "" {
		return []Line{pass("accepted as user %s", cmp.Or(o.Username, "default"))}
	}
	return []Line{pass("it requires no password")}
}

// findNodes returns the servers behind the client: each master of a Cluster, or the only one.
func (d *doctor) findNodes(ctx context.Context) ([]*node, error) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	cluster, ok := d.client.(*redis.ClusterClient)
	if !ok {
		client := d.client.(*redis.Client)
		return []*node{{addr: cmp.Or(d.master, d.redis.Options.Addrs[0]), client: client}}, greet(ctx, client)
	}
	var mu sync.Mutex
	var nodes []*node
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		addr := master.Options().Addr
		mu.Lock()
		nodes = append(nodes, &node{addr: addr, name: addr, client: master})
		mu.Unlock()
		return greet(ctx, master)
	})
	slices.SortFunc(nodes, func(a, b *node) int { return strings.Compare(a.addr, b.addr) })
	if err == nil && len(nodes) == 0 {
		err = errors.New("no master")
	}
	return nodes, err
}

// greet returns why a server does not answer. A user without permission to PING has logged in, too.
func greet(ctx context.Context, client *redis.Client) error {
	err := client.Ping(ctx).Err()
	if err != nil && redisfault.Explain(err).Code == "NOPERM" {
		return nil
	}
	return err
}

// speaksTLS reports whether a server that was addressed without TLS completes a TLS handshake.
func (d *doctor) speaksTLS(ctx context.Context) bool {
	if d.redis.TLS() {
		return false
	}
	conn, err := d.dial(ctx, d.redis.Options.Addrs[0])
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := d.limited(ctx)
	defer cancel()
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil // nothing is sent
}

// exposed reports whether this server can be used without a password, and who can reach it.
func (d *doctor) exposed(ctx context.Context, n *node) Line {
	if !d.isOpen(ctx, n) {
		return pass("no: it requires a password")
	}
	conn, err := d.dial(ctx, n.addr)
	if err != nil {
		return failed(err) // the master has changed in the meantime
	}
	defer func() { _ = conn.Close() }()
	open := "it has no password"
	if d.redis.Options.Password != "" {
		open = "its default user has no password"
	}
	fix := "set requirepass in redis.conf (or ACL SETUSER default >PASSWORD) and put the password into " + d.redis.Source
	switch d.reachOf(conn) {
	case anyone:
		return fail(open+" and a public address: anyone can read, change and delete every session",
			fix+"; let only the app's machines reach it")
	case privateNetwork:
		return warn(open+": anyone on this private network can read and delete every session", fix)
	}
	if n.listensToOthers() {
		return warn(open+" and accepts connections from other machines (bind, protected-mode no)", fix+", or bind it to 127.0.0.1")
	}
	return pass("no: %s, but is used from this machine only", open)
}

// isOpen reports whether the server answers a client that has not logged in.
func (d *doctor) isOpen(ctx context.Context, n *node) bool {
	if d.redis.Options.Password == "" {
		return true // it has just answered
	}
	anonymous := redis.NewClient(d.optionsFor(n.addr, "", ""))
	defer func() { _ = anonymous.Close() }()
	ctx, cancel := d.limited(ctx)
	defer cancel()
	return anonymous.Ping(ctx).Err() == nil
}

// listensToOthers reports whether the server is known to accept connections from other machines.
func (n *node) listensToOthers() bool {
	bind, known := n.facts["config.bind"]
	if !known || n.facts["config.protected-mode"] != "no" {
		return false
	}
	for addr := range strings.FieldsSeq(bind) {
		if addr = strings.TrimPrefix(addr, "-"); !strings.HasPrefix(addr, "127.") && addr != "::1" {
			return true
		}
	}
	return bind == ""
}
