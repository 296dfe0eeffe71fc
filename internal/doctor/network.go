package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"visit-counter/internal/config"
	"visit-counter/internal/redisfault"
)

// soon is how many days before a certificate's end there is a warning.
const soon = 14

// Reach is who can reach a network address.
type Reach int

// Who can reach an address, from the fewest to the most.
const (
	ThisMachine Reach = iota
	PrivateNetwork
	Everybody
)

// ReachOf tells by the address alone: loopback, private (RFC 1918, 4193, 6598, link-local), or public.
func ReachOf(addr netip.Addr) Reach {
	addr = addr.Unmap()
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	switch {
	case addr.IsLoopback():
		return ThisMachine
	case addr.IsPrivate(), addr.IsLinkLocalUnicast(), shared.Contains(addr):
		return PrivateNetwork
	}
	return Everybody
}

// findRedis says where the address comes from. It returns false if there is none to look at.
func (d *doctor) findRedis(ctx context.Context) bool {
	const check = "address"
	cfg := d.cfg
	switch {
	case cfg.Store == config.StoreMemory:
		d.warn(check, "", "none: SESSION_STORE=memory keeps each instance's counts to itself and loses them when it ends",
			"start a redis-server, set REDIS_URL and remove SESSION_STORE")
		return false
	case cfg.Store == config.StoreAuto:
		return d.findLocal(ctx)
	case cfg.Redis.Options == nil:
		d.fail(check, "", "none: no Redis is bound to this app, and every visit is answered with 503", missing(cfg))
		return false
	}
	d.redis = cfg.Redis
	d.pass(check, "", "%s, from %s", d.redis.Address, d.redis.Source)
	return true
}

// findLocal looks where serving looks when nothing is configured.
func (d *doctor) findLocal(ctx context.Context) bool {
	d.redis = d.cfg.RedisAt("127.0.0.1:6379", "the default on a developer's machine")
	conn, err := d.dial(ctx, d.redis.Options.Addrs[0])
	if err != nil {
		d.warn("address", "", "none is configured and none listens at 127.0.0.1:6379: counts are kept in memory and lost when the process ends",
			"start one (redis-server --appendonly yes), or set REDIS_URL")
		return false
	}
	_ = conn.Close()
	d.pass("address", "", "%s, %s, as none is configured", d.redis.Address, d.redis.Source)
	return true
}

// missing returns how to get a Redis on the platform.
func missing(cfg config.Config) string {
	if cfg.Platform == config.Heroku {
		return "heroku addons:create heroku-redis:mini"
	}
	app := cmp.Or(cfg.AppName, "visit-counter")
	return "cf create-service SERVICE PLAN my-redis; cf bind-service " + app + " my-redis; cf restage " + app +
		" (cf marketplace lists SERVICE and PLAN)"
}

// dial connects within the time limit. An address that begins with a slash is a socket.
func (d *doctor) dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.limit()}
	if strings.HasPrefix(addr, "/") {
		return dialer.DialContext(ctx, "unix", addr)
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// name returns addr where there are several, for the line that is about it.
func (d *doctor) name(addr string) string {
	if len(d.redis.Options.Addrs) == 1 {
		return ""
	}
	return addr
}

// reachable connects to every configured address. One of several is enough to go on with.
func (d *doctor) reachable(ctx context.Context) bool {
	const check = "reachable"
	var problems []Line
	addrs := d.redis.Options.Addrs
	for _, addr := range addrs {
		began := time.Now()
		conn, err := d.dial(ctx, addr)
		if err != nil {
			message, fix := d.unreachable(addr, err)
			problems = append(problems, Line{Check: check, Status: Warn, Node: d.name(addr), Message: message, Fix: fix})
			continue
		}
		_ = conn.Close()
		d.pass(check, "", "%s accepts connections (%s)", addr, milliseconds(time.Since(began)))
	}
	for _, p := range problems {
		if len(problems) == len(addrs) {
			p.Status = Fail
		}
		d.say(p)
	}
	return len(problems) < len(addrs)
}

// unreachable says in words why a connection could not be made.
func (d *doctor) unreachable(addr string, err error) (message, fix string) {
	var dns *net.DNSError
	var timeout net.Error
	correct := "correct " + d.redis.Source
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s cannot be resolved", dns.Name), correct + ", or wait: a new service's name may take minutes to appear"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s does not answer within %s", addr, d.limit()),
			"a firewall, a security group or a wrong address swallows the connection: let it through, or " + correct
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s may not be opened by this user", addr), "set unixsocketperm in redis.conf, or add the user to its group"
	}
	return fmt.Sprintf("nothing listens at %s", addr), "start Redis there (redis-server --appendonly yes), or " + correct
}

// encrypted looks at the certificates of all configured addresses that can be reached.
func (d *doctor) encrypted(ctx context.Context) bool {
	ok := true
	for _, addr := range d.redis.Options.Addrs {
		conn, err := d.dial(ctx, addr)
		if err != nil {
			continue // told already
		}
		if d.redis.TLS {
			ok = d.certificate(ctx, conn, addr) && ok
		} else {
			d.plain(conn, addr)
		}
		_ = conn.Close()
	}
	return ok
}

func (d *doctor) plain(conn net.Conn, addr string) {
	switch d.reachOf(conn) {
	case ThisMachine:
		d.pass("tls", d.name(addr), "not used, and not needed on one machine")
	case PrivateNetwork:
		d.pass("tls", d.name(addr), "not used, inside a private network")
	default:
		d.warn("tls", d.name(addr), "not used: the password and every session can be read on the way",
			"use rediss:// and the port on which this Redis speaks TLS")
	}
}

// reachOf returns who can reach the other end. A socket is a file of this machine.
func (d *doctor) reachOf(conn net.Conn) Reach {
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return ThisMachine
	}
	return d.reach(addr.Addr())
}

// certificate makes a TLS connection that accepts everything, and then looks at what it got.
func (d *doctor) certificate(ctx context.Context, conn net.Conn, addr string) bool {
	const check = "tls"
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	settings := d.redis.Options.TLSConfig.Clone()
	if settings.ServerName == "" {
		settings.ServerName, _, _ = net.SplitHostPort(addr)
	}
	settings.InsecureSkipVerify = true // it is verified below, to tell what is wrong
	secured := tls.Client(conn, settings)
	if err := secured.HandshakeContext(ctx); err != nil {
		d.fail(check, d.name(addr), "the server does not complete a TLS handshake: "+redisfault.Explain(err).Wrong,
			"use the port on which it speaks TLS, or, if it does not, redis:// in "+d.redis.Source)
		return false
	}
	state := secured.ConnectionState()
	verifyErr := verify(state.PeerCertificates, settings)
	if verifyErr != nil && d.redis.Verified {
		message, fix := untrusted(verifyErr, state.PeerCertificates[0], d.redis.Source)
		d.fail(check, d.name(addr), message, fix)
		return false
	}
	d.trusted(addr, state, verifyErr)
	return true
}

// verify checks a certificate as crypto/tls would.
func verify(certificates []*x509.Certificate, settings *tls.Config) error {
	intermediates := x509.NewCertPool()
	for _, c := range certificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := certificates[0].Verify(x509.VerifyOptions{
		Roots: settings.RootCAs, Intermediates: intermediates, DNSName: settings.ServerName,
	})
	return err
}

// untrusted says why a certificate is refused.
func untrusted(err error, leaf *x509.Certificate, source string) (message, fix string) {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().After(invalid.Cert.NotAfter):
		return "the certificate has expired on " + invalid.Cert.NotAfter.Format(time.DateOnly), "renew it on the server and reload it there"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate is not valid yet, or the clock of this machine is wrong", "set the clock"
	case errors.As(err, &host):
		names := slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		return "the certificate is for another name: " + strings.Join(names, ", "),
			"use one of these names in " + source + ", or renew the certificate with the name that is used"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "the certificate is signed by an authority that is not trusted here: " + leaf.Issuer.String(),
			"set REDIS_TLS_CA to that authority's certificate, as PEM text or as the name of a file"
	}
	return explain(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: err})
}

// trusted tells about a certificate that is accepted, though perhaps only because nobody checks it.
func (d *doctor) trusted(addr string, state tls.ConnectionState, verifyErr error) {
	const check = "tls"
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	message := fmt.Sprintf("%s, certificate of %s, %s", tls.VersionName(state.Version), leaf.Issuer, timeLeft(left))
	switch {
	case !d.redis.Verified && verifyErr == nil:
		d.warn(check, d.name(addr), message+"; it is not verified, though it could be", "set REDIS_TLS_VERIFY=true")
	case !d.redis.Verified:
		d.warn(check, d.name(addr), message+"; it is not verified: who stands in between can pose as this Redis",
			"set REDIS_TLS_CA to the certificate of its authority (Heroku's own Redis has none that could be trusted)")
	case left < soon*24*time.Hour:
		d.warn(check, d.name(addr), message, "renew the certificate on the server in time")
	default:
		d.pass(check, d.name(addr), "%s", message)
	}
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
