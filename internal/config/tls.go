package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
)

// authorities reads REDIS_TLS_CA: PEM text, or the name of a file with it.
func authorities(text string) (*x509.CertPool, error) {
	if strings.HasPrefix(text, "-----BEGIN") {
		text = strings.ReplaceAll(text, `\n`, "\n") // some tools keep a variable on one line
	} else {
		file, err := os.ReadFile(text)
		if err != nil {
			return nil, errors.New("is neither the text of a certificate (-----BEGIN CERTIFICATE-----) nor a file that can be read")
		}
		text = string(file)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return roots, nil
}

// secure decides which CAs a TLS connection trusts: by default the system's and the one in the binding. No public CA signs
// the certificates of Heroku's own Redis, so those, and only those, are not verified by default. roots and verify are the
// values of REDIS_TLS_CA and REDIS_TLS_VERIFY, nil if not set.
func (l *loader) secure(c *candidate, roots *x509.CertPool, verify *bool) {
	o := c.Options.TLSConfig
	if o == nil {
		if roots != nil {
			l.warn("REDIS_TLS_CA has no effect: the address from %s does not use TLS (rediss://)", c.Source)
		}
		return
	}
	o.RootCAs = roots
	if o.RootCAs == nil && c.ca != "" {
		o.RootCAs = l.systemRootsWith(c)
	}
	switch {
	case verify != nil:
		o.InsecureSkipVerify = !*verify
	case roots != nil:
		o.InsecureSkipVerify = false
	case c.heroku:
		o.InsecureSkipVerify = true
	}
	switch {
	case !o.InsecureSkipVerify:
	case c.heroku:
		l.warn("%s: the connection is encrypted, but Heroku's certificate cannot be verified; set REDIS_TLS_CA to verify it", c.Source)
	default:
		l.warn("%s: the server's certificate is not verified: anyone on the network path can impersonate it", c.Source)
	}
}

// systemRootsWith returns the system's CAs and the candidate's own.
func (l *loader) systemRootsWith(c *candidate) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(c.ca)) {
		l.fail(c.Source, "the certificate in the credentials is not in PEM form: bind the service again, or set REDIS_TLS_CA")
	}
	return roots
}

// dialTLS connects with TLS to a server of r, and refuses one that it has no reason to trust.
func (r Redis) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := r.Options.Dialer
	if dial == nil {
		dial = (&net.Dialer{Timeout: r.Options.DialTimeout}).DialContext
	}
	plain, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, r.TLSFor(addr))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return conn, nil
}

// TLSFor returns the settings for a TLS connection to the server at addr, nil if connections are not encrypted.
func (r Redis) TLSFor(addr string) *tls.Config {
	if !r.TLS() {
		return nil
	}
	settings := r.Options.TLSConfig.Clone()
	settings.ServerName = r.namesOf(addr)[0]
	if !settings.InsecureSkipVerify {
		settings.InsecureSkipVerify = true // package tls verifies one name only
		settings.VerifyConnection = func(state tls.ConnectionState) error { return r.Verify(addr, state) }
	}
	return settings
}

// Verify checks the certificate of the server at addr, as a client does before it sends anything. It does so even if
// clients are configured to accept any certificate.
func (r Redis) Verify(addr string, state tls.ConnectionState) error {
	certificates := state.PeerCertificates
	options := x509.VerifyOptions{Roots: r.Options.TLSConfig.RootCAs, Intermediates: x509.NewCertPool()}
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	var err error
	for _, options.DNSName = range r.namesOf(addr) {
		if _, err = certificates[0].Verify(options); err == nil {
			return nil
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: certificates, Err: err}
}

// namesOf returns the names that the certificate of the server at addr may be for. For a single server that is the
// configured host, whatever address is dialled. A Cluster and Sentinels lead to servers that are not configured: their
// certificates may be for the dialled host or for a configured one, because a hosted Cluster often has one certificate for
// all its nodes.
func (r Redis) namesOf(addr string) []string {
	names := hostsOf(r.Options)
	if isCluster(r.Options) || r.Options.MasterName != "" {
		names = append([]string{hostOf(addr)}, names...)
	}
	return names
}
