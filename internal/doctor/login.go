package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"visit-counter/internal/redisfault"
)

// node is one server that sessions are kept in.
type node struct {
	addr   string
	name   string // addr where there are several, else ""
	client *redis.Client
	facts  map[string]string // what it tells about itself: INFO's names, and "config." + CONFIG's
}

// login sends the first commands, and returns the servers that sessions are kept in. It returns false if there is
// nothing to go on with.
func (d *doctor) login(ctx context.Context, client redis.UniversalClient) ([]*node, bool) {
	const check = "login"
	if d.redis.Options.MasterName != "" && !d.sentinels(ctx) {
		return nil, false
	}
	pinging, cancel := d.bounded(ctx)
	err := client.Ping(pinging).Err()
	cancel()
	if err != nil {
		if d.speaksTLS(ctx) {
			err = redisfault.WantsTLS
		}
		message, fix := explain(err)
		d.fail(check, "", message, fix)
		return nil, false
	}
	nodes, err := d.nodes(ctx, client)
	if err != nil {
		message, fix := explain(err)
		d.fail(check, "", message, fix)
		return nil, false
	}
	if o := d.redis.Options; o.Password != "" {
		d.pass(check, "", "accepted as user %s", cmp.Or(o.Username, "default"))
		return nodes, true
	}
	d.pass(check, "", "it asks for no password")
	return nodes, true
}

// speaksTLS reports whether a server that was addressed without TLS completes a TLS handshake.
func (d *doctor) speaksTLS(ctx context.Context) bool {
	if d.redis.TLS {
		return false
	}
	conn, err := d.dial(ctx, d.redis.Options.Addrs[0])
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil //nolint:gosec // nothing is sent
}

// nodes returns the servers behind the client: each master of a Cluster, or the only one.
func (d *doctor) nodes(ctx context.Context, client redis.UniversalClient) ([]*node, error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	switch c := client.(type) {
	case *redis.ClusterClient:
		var mu sync.Mutex
		var nodes []*node
		err := c.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			addr := master.Options().Addr
			if err := master.Ping(ctx).Err(); err != nil {
				return fmt.Errorf("%s: %w", addr, err)
			}
			mu.Lock()
			defer mu.Unlock()
			nodes = append(nodes, &node{addr: addr, name: addr, client: master})
			return nil
		})
		slices.SortFunc(nodes, func(a, b *node) int { return strings.Compare(a.addr, b.addr) })
		if err == nil && len(nodes) == 0 {
			err = errors.New("no master")
		}
		return nodes, err
	case *redis.Client:
		addr := d.redis.Options.Addrs[0]
		if d.redis.Options.MasterName != "" {
			addr = d.master(ctx)
		}
		return []*node{{addr: addr, client: c}}, nil
	}
	return nil, fmt.Errorf("a client of type %T is not known", client)
}

// sentinels asks every Sentinel for the master.
func (d *doctor) sentinels(ctx context.Context) bool {
	const check = "sentinel"
	var found []string
	var problems []Line
	for _, addr := range d.redis.Options.Addrs {
		master, err := d.askSentinel(ctx, addr)
		if err != nil {
			message, fix := explain(err)
			if errors.Is(err, redis.Nil) {
				message, fix = "it watches no master of this name", "correct master_name in "+d.redis.Source
			}
			problems = append(problems, Line{Check: check, Status: Warn, Node: addr, Message: message, Fix: fix})
			continue
		}
		found = append(found, master)
		d.pass(check, addr, "the master is %s", master)
	}
	for _, p := range problems {
		if len(found) == 0 {
			p.Status = Fail
		}
		d.say(p)
	}
	if slices.Sort(found); len(slices.Compact(found)) > 1 {
		d.warn(check, "", "the Sentinels do not agree on the master", "wait until a failover is over, then look at their logs")
	}
	return len(found) > 0
}

func (d *doctor) askSentinel(ctx context.Context, addr string) (master string, err error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	o := d.redis.Options
	client := redis.NewSentinelClient(&redis.Options{
		Addr: addr, TLSConfig: o.TLSConfig, Username: o.SentinelUsername, Password: o.SentinelPassword,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: o.DialTimeout, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: o.MaintNotificationsConfig, DisableIdentity: true,
	})
	defer func() { _ = client.Close() }()
	hostPort, err := client.GetMasterAddrByName(ctx, o.MasterName).Result()
	if err != nil {
		return "", err
	}
	if len(hostPort) != 2 {
		return "", redis.Nil
	}
	return net.JoinHostPort(hostPort[0], hostPort[1]), nil
}

// master returns the master's address as the first Sentinel that answers tells it, "" if none does.
func (d *doctor) master(ctx context.Context) string {
	for _, addr := range d.redis.Options.Addrs {
		if master, err := d.askSentinel(ctx, addr); err == nil {
			return master
		}
	}
	return ""
}

// exposed tells whether anybody may use this server without a password, and who can reach it.
func (d *doctor) exposed(ctx context.Context, n *node) {
	const check = "exposed"
	if !d.letsAnybodyIn(ctx, n) {
		d.pass(check, n.name, "no: it wants a password")
		return
	}
	conn, err := d.dial(ctx, n.addr)
	if err != nil {
		return // the master has changed meanwhile
	}
	defer func() { _ = conn.Close() }()
	open := "it has no password"
	if d.redis.Options.Password != "" {
		open = "its default user has no password"
	}
	fix := "set requirepass in redis.conf (or ACL SETUSER default >PASSWORD) and put the password into " + d.redis.Source
	switch d.reachOf(conn) {
	case Everybody:
		d.fail(check, n.name, open+" and a public address: anybody can read, change and delete every session",
			fix+"; let only the app's machines reach it")
	case PrivateNetwork:
		d.warn(check, n.name, open+": whoever reaches this private network can read and delete every session", fix)
	default:
		if others, known := n.listensToOthers(); known && others {
			d.warn(check, n.name, open+" and listens to other machines (bind, protected-mode no)", fix+", or bind it to 127.0.0.1")
			return
		}
		d.pass(check, n.name, "no: %s, and is used from this machine only", open)
	}
}

// letsAnybodyIn reports whether the server answers somebody who has not logged in.
func (d *doctor) letsAnybodyIn(ctx context.Context, n *node) bool {
	if d.redis.Options.Password == "" {
		return true // it has just answered
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	o := *n.client.Options()
	o.Username, o.Password, o.CredentialsProvider, o.StreamingCredentialsProvider = "", "", nil, nil
	o.Dialer, o.OnConnect, o.MaxRetries = nil, nil, -1
	o.Addr = n.addr
	stranger := redis.NewClient(&o)
	defer func() { _ = stranger.Close() }()
	return stranger.Ping(ctx).Err() == nil
}

// listensToOthers reports whether the server accepts connections from other machines, as far as it tells.
func (n *node) listensToOthers() (others, known bool) {
	protected, known := n.facts["config.protected-mode"]
	if !known || protected != "no" {
		return false, known
	}
	for addr := range strings.FieldsSeq(n.facts["config.bind"]) {
		if addr = strings.TrimPrefix(addr, "-"); !strings.HasPrefix(addr, "127.") && addr != "::1" {
			return true, true
		}
	}
	return n.facts["config.bind"] == "", true
}
