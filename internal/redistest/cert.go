package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"visit-counter/internal/redisserver"
)

// CA is a certificate authority that exists only for a test.
type CA struct {
	Cert *x509.Certificate
	PEM  string // Cert in PEM form
	key  *ecdsa.PrivateKey
}

// NewCA makes a certificate authority that no client trusts by default.
func NewCA(t testing.TB) *CA {
	t.Helper()
	template := certificate("test CA", nil)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	cert, key := sign(t, template, nil)
	return &CA{Cert: cert, PEM: encode("CERTIFICATE", cert.Raw), key: key}
}

// Issue makes a key and a certificate for a server with these names or addresses, valid from yesterday until tomorrow.
// Without names it is for this machine: 127.0.0.1, ::1 and localhost. The files are in a temporary directory of the
// test.
func (ca *CA) Issue(t testing.TB, names ...string) *redisserver.TLS {
	t.Helper()
	return ca.issue(t, certificate("test server", names))
}

// IssueExpired makes a certificate for a server on this machine that expired an hour ago.
func (ca *CA) IssueExpired(t testing.TB) *redisserver.TLS {
	t.Helper()
	template := certificate("test server", nil)
	template.NotAfter = time.Now().Add(-time.Hour)
	return ca.issue(t, template)
}

func (ca *CA) issue(t testing.TB, template *x509.Certificate) *redisserver.TLS {
	t.Helper()
	cert, key := sign(t, template, ca)
	return writeFiles(t, cert, key, ca.Cert)
}

// SelfSigned makes a self-signed certificate for a server on this machine.
func SelfSigned(t testing.TB) *redisserver.TLS {
	t.Helper()
	cert, key := sign(t, certificate("test server", nil), nil)
	return writeFiles(t, cert, key, cert)
}

// certificate returns the template of a server certificate.
func certificate(subject string, names []string) *x509.Certificate {
	c := &x509.Certificate{
		Subject:     pkix.Name{CommonName: subject},
		NotBefore:   time.Now().Add(-24 * time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	if len(names) == 0 {
		c.DNSNames = []string{"localhost"}
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	return c
}

// sign makes the certificate that template describes, and its key. The issuer signs it; without one it is self-signed.
func sign(t testing.TB, template *x509.Certificate, issuer *CA) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Must(t, err)
	if issuer == nil {
		issuer = &CA{Cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Cert, key.Public(), issuer.key)
	Must(t, err)
	cert, err := x509.ParseCertificate(der)
	Must(t, err)
	return cert, key
}

func writeFiles(t testing.TB, cert *x509.Certificate, key *ecdsa.PrivateKey, ca *x509.Certificate) *redisserver.TLS {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	Must(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		Must(t, os.WriteFile(path, []byte(encode(kind, der)), 0o600))
		return path
	}
	return &redisserver.TLS{
		CertFile: write("server.crt", "CERTIFICATE", cert.Raw),
		KeyFile:  write("server.key", "PRIVATE KEY", der),
		CAFile:   write("ca.crt", "CERTIFICATE", ca.Raw),
	}
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
