package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
	"visit-counter/templates"
)

// minValidity is the remaining validity of a certificate below which doctor warns.
const minValidity = 14 * 24 * time.Hour

// reach is who can reach a network address.
type reach int

// Who can reach an address, from the fewest to the most.
const (
	thisMachine reach = iota
	privateNetwork
	anyone
)

// reachOf judges by the address alone: loopback, private (RFC 1918, 4193, 6598, link-local), or public.
func reachOf(addr netip.Addr) reach {
	addr = addr.Unmap()
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	switch {
	case addr.IsLoopback():
		return thisMachine
	case addr.IsPrivate(), addr.IsLinkLocalUnicast(), shared.Contains(addr):
		return privateNetwork
	}
	return anyone
}

// address says where the address comes from.
func (d *doctor) address(ctx context.Context) []Line {
	cfg := d.cfg
	switch cfg.Store {
	case config.StoreMemory:
		return []Line{warn("none: SESSION_STORE=memory keeps each instance's counts to itself and loses them when it ends",
			"start a redis-server, set REDIS_URL and remove SESSION_STORE")}
	case config.StoreAuto:
		return d.local(ctx)
	case config.StoreNone:
		return []Line{fail("none: no Redis is bound to this app, and every visit is answered with 503",
			strings.Join(templates.NoRedis(cfg.Platform, cfg.AppName).Commands, "; "))}
	}
	d.redis = cfg.Redis
	return []Line{pass("%s, from %s", d.redis.Address(), d.redis.Source)}
}

// local looks for a Redis at the default address, as the app does if none is configured.
func (d *doctor) local(ctx context.Context) []Line {
	r := d.cfg.RedisAt(config.LocalRedis, "the default on a developer's machine")
	conn, err := d.dial(ctx, r.Options.Addrs[0])
	if err != nil {
		return []Line{warn("none is configured and none listens at "+config.LocalRedis+": counts are kept in memory and lost when the process ends",
			"start one (redis-server --appendonly yes), or set REDIS_URL")}
	}
	_ = conn.Close()
	d.redis = r
	return []Line{pass("%s, %s, because none is configured", r.Address(), r.Source)}
}

// dial connects within the time limit. An address that begins with a slash is a socket.
func (d *doctor) dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.limit()}
	if strings.HasPrefix(addr, "/") {
		return dialer.DialContext(ctx, "unix", addr)
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// connection is a connection to one of the configured addresses.
type connection struct {
	net.Conn
	addr string
}

// reachable connects to every configured address. One of several is enough to go on.
func (d *doctor) reachable(ctx context.Context) (lines []Line) {
	for _, addr := range d.redis.Options.Addrs {
		began := time.Now()
		conn, err := d.dial(ctx, addr)
		if err != nil {
			fault := redisfault.Explain(err)
			lines = append(lines, fail(addr+": "+fault.Wrong, fault.Todo+" The address comes from "+d.redis.Source+"."))
			continue
		}
		d.conns = append(d.conns, connection{conn, addr})
		lines = append(lines, pass("%s accepts connections (%s)", addr, milliseconds(time.Since(began))))
	}
	return oneIsEnough(lines)
}

// oneIsEnough turns failures into warnings if something has passed.
func oneIsEnough(lines []Line) []Line {
	if slices.ContainsFunc(lines, func(l Line) bool { return l.Status == Pass }) {
		for i := range lines {
			if lines[i].Status == Fail {
				lines[i].Status = Warn
			}
		}
	}
	return lines
}

// encryption checks the certificates of all addresses that can be reached, and closes the connections to them.
func (d *doctor) encryption(ctx context.Context) (lines []Line) {
	for _, conn := range d.conns {
		l := d.plain(conn)
		if d.redis.TLS() {
			l = d.certificate(ctx, conn)
		}
		if len(d.redis.Options.Addrs) > 1 {
			l.Node = conn.addr
		}
		lines = append(lines, l)
		_ = conn.Close()
	}
	return lines
}

func (d *doctor) plain(conn net.Conn) Line {
	switch d.reachOf(conn) {
	case thisMachine:
		return pass("not used, and not needed within one machine")
	case privateNetwork:
		return pass("not used, inside a private network")
	}
	return warn("not used: the password and every session can be read in transit",
		"use rediss:// and the port on which this Redis speaks TLS")
}

// reachOf returns who can reach the other end. A socket is a file of this machine.
func (d *doctor) reachOf(conn net.Conn) reach {
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return thisMachine
	}
	return d.reach(addr.Addr())
}

// certificate makes a TLS connection that accepts any certificate, and then examines the one it got.
func (d *doctor) certificate(ctx context.Context, conn connection) Line {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	settings := d.redis.TLSFor(conn.addr)
	settings.InsecureSkipVerify, settings.VerifyConnection = true, nil // it is verified below, to say what is wrong
	secured := tls.Client(conn, settings)
	if err := secured.HandshakeContext(ctx); err != nil {
		return fail("the server does not complete a TLS handshake: "+redisfault.Explain(err).Wrong,
			"use the port on which it speaks TLS, or, if it does not, redis:// in "+d.redis.Source)
	}
	state := secured.ConnectionState()
	verifyErr := d.redis.Verify(conn.addr, state)
	if verifyErr != nil && d.redis.Verified() {
		return untrusted(verifyErr, state.PeerCertificates[0])
	}
	return d.trusted(state, verifyErr)
}

// untrusted explains why a certificate is refused, with the details of the certificate.
func untrusted(err error, leaf *x509.Certificate) Line {
	l := failed(err)
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		l.Message += fmt.Sprintf(" It is valid from %s to %s.", invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly))
	case errors.As(err, new(x509.HostnameError)):
		names := slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		l.Message += " It is for " + strings.Join(names, ", ") + "."
	default:
		l.Message += " It is signed by " + leaf.Issuer.String() + "."
	}
	return l
}

// trusted describes a certificate that is accepted, perhaps only because verification is off.
func (d *doctor) trusted(state tls.ConnectionState, verifyErr error) Line {
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	message := fmt.Sprintf("%s, certificate of %s, %s", tls.VersionName(state.Version), leaf.Issuer, timeLeft(left))
	switch {
	case !d.redis.Verified() && verifyErr == nil:
		return warn(message+"; it is not verified, though it could be", "set REDIS_TLS_VERIFY=true")
	case !d.redis.Verified():
		return warn(message+"; it is not verified: anyone on the network path can impersonate this Redis",
			"set REDIS_TLS_CA to the certificate of its authority (for Heroku's own Redis there is none)")
	case left < minValidity:
		return warn(message, "renew the certificate on the server in time")
	}
	return pass("%s", message)
}

func timeLeft(left time.Duration) string {
	switch days := int(left / (24 * time.Hour)); {
	case left < 0:
		return fmt.Sprintf("expired %d days ago", -days)
	case days < 1:
		return "valid for less than a day"
	default:
		return fmt.Sprintf("valid for %d days", days)
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
