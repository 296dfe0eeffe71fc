package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// trust is what REDIS_TLS_VERIFY and REDIS_TLS_CA say.
type trust struct {
	verify *bool          // nil: REDIS_TLS_VERIFY is not set
	roots  *x509.CertPool // nil: REDIS_TLS_CA is not set
}

func (l *loader) trust() trust {
	t := trust{verify: setting(l, "REDIS_TLS_VERIFY", nil, func(text string) (*bool, error) {
		verify, err := boolean(text)
		return &verify, err
	})}
	text := l.get("REDIS_TLS_CA")
	if text == "" {
		return t
	}
	if strings.HasPrefix(text, "-----BEGIN") {
		text = strings.ReplaceAll(text, `\n`, "\n") // some tools keep a variable on one line
	} else {
		file, err := os.ReadFile(text)
		if err != nil {
			l.fail("REDIS_TLS_CA", "is neither the text of a certificate (-----BEGIN CERTIFICATE-----) nor a file that can be read")
			return t
		}
		text = string(file)
	}
	t.roots = x509.NewCertPool()
	if !t.roots.AppendCertsFromPEM([]byte(text)) {
		l.fail("REDIS_TLS_CA", "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return t
}

// secure decides whom a TLS connection trusts: by default the system's authorities and the one in the binding. No public
// authority signs the certificates of Heroku's own Redis, so there, and only there, they are not verified by default.
func (l *loader) secure(c *candidate, trust trust) {
	o := c.options.TLSConfig
	if o == nil {
		if trust.roots != nil {
			l.warn("REDIS_TLS_CA has no effect: the address from %s does not use TLS (rediss://)", c.source)
		}
		return
	}
	o.RootCAs = trust.roots
	if o.RootCAs == nil && c.ca != "" {
		o.RootCAs = l.systemRootsWith(c)
	}
	switch {
	case trust.verify != nil:
		o.InsecureSkipVerify = !*trust.verify
	case trust.roots != nil:
		o.InsecureSkipVerify = false
	case c.heroku:
		o.InsecureSkipVerify = true
	}
	switch {
	case !o.InsecureSkipVerify:
	case c.heroku:
		l.warn("%s: the connection is encrypted, but Heroku's certificate cannot be verified; set REDIS_TLS_CA to verify it", c.source)
	default:
		l.warn("%s: the server's certificate is not verified: anybody on the network path can impersonate it", c.source)
	}
}

// systemRootsWith returns the system's authorities and the candidate's own.
func (l *loader) systemRootsWith(c *candidate) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(c.ca)) {
		l.fail(c.source, "the certificate in the credentials is not in PEM form: bind the service again, or set REDIS_TLS_CA")
	}
	return roots
}

// dialTLS returns a dialer for a client with these options. A single server proves with its certificate that it is the
// configured host, whichever address is dialled. A Cluster and Sentinels lead to servers that are not configured. Each of
// those proves that it is the host that was dialled or one that is configured: a hosted Cluster often has one certificate
// for all its nodes.
func dialTLS(o *redis.UniversalOptions) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := o.Dialer
	if dial == nil {
		dial = (&net.Dialer{Timeout: o.DialTimeout}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		plain, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		names := hostsOf(o)
		if isCluster(o) || o.MasterName != "" {
			names = append([]string{hostOf(addr)}, names...)
		}
		conn := tls.Client(plain, anyOf(names, o.TLSConfig))
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return conn, nil
	}
}

// anyOf returns the settings for a server whose certificate may be for any of the names. It asks for the first.
func anyOf(names []string, base *tls.Config) *tls.Config {
	settings := base.Clone()
	settings.ServerName = names[0]
	if settings.InsecureSkipVerify || len(names) == 1 {
		return settings
	}
	settings.InsecureSkipVerify = true // package tls verifies one name only; this verifies each in the same way
	settings.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: base.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		var err error
		for _, options.DNSName = range names {
			if _, err = state.PeerCertificates[0].Verify(options); err == nil {
				return nil
			}
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return settings
}
