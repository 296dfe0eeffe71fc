package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate says what TLSFiles makes.
type Certificate int

// The certificates a server may show. All but SelfSigned are signed by a throwaway CA.
const (
	Valid      Certificate = iota // for 127.0.0.1, ::1 and localhost, now
	Expired                       // since an hour ago
	WrongHost                     // for redis.invalid only
	SelfSigned                    // Valid, but signed by nobody else
)

// Files are the PEM files of a server, and the CA that signed its certificate (itself, if SelfSigned).
type Files struct {
	CertFile, KeyFile, CAFile string
	Pool                      *x509.CertPool // holds the CA
}

// TLSFiles makes a key and a certificate for a server, in a temporary directory of the test. Each call makes
// a CA of its own: the Pool of one call does not trust the certificate of another.
func TLSFiles(t testing.TB, kind Certificate) Files {
	t.Helper()
	now := time.Now()
	leaf := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "test server"},
		NotBefore:   now.Add(-24 * time.Hour),
		NotAfter:    now.Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	switch kind {
	case Expired:
		leaf.NotAfter = now.Add(-time.Hour)
	case WrongHost:
		leaf.DNSNames, leaf.IPAddresses = []string{"redis.invalid"}, nil
	}
	key := newKey(t)
	if kind == SelfSigned {
		cert := sign(t, leaf, leaf, key, key)
		return writeFiles(t, cert, key, cert)
	}
	ca := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "test CA"},
		NotBefore:             leaf.NotBefore,
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	caKey := newKey(t)
	caCert := sign(t, ca, ca, caKey, caKey)
	return writeFiles(t, sign(t, leaf, caCert, key, caKey), key, caCert)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes the certificate that template describes for key, signed by parent with parentKey.
func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func writeFiles(t testing.TB, cert *x509.Certificate, key *ecdsa.PrivateKey, ca *x509.Certificate) Files {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := Files{
		CertFile: filepath.Join(dir, "server.crt"),
		KeyFile:  filepath.Join(dir, "server.key"),
		CAFile:   filepath.Join(dir, "ca.crt"),
		Pool:     x509.NewCertPool(),
	}
	f.Pool.AddCert(ca)
	writePEM(t, f.CertFile, "CERTIFICATE", cert.Raw)
	writePEM(t, f.KeyFile, "PRIVATE KEY", der)
	writePEM(t, f.CAFile, "CERTIFICATE", ca.Raw)
	return f
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
