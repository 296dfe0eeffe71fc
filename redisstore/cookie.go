package redisstore

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	gsessions "github.com/gorilla/sessions"
)

// A cookie is id + "." + signature: 160 random bits and their HMAC-SHA256, both in unpadded base64url, and
// nothing else. There is no time in it: how long a session lives is Redis' business alone.
const (
	idBytes     = 20
	idLength    = 27 // base64.RawURLEncoding.EncodedLen(idBytes)
	macLength   = 43 // base64.RawURLEncoding.EncodedLen(sha256.Size)
	valueLength = idLength + 1 + macLength

	// maxCandidates bounds the cookies of one name that are verified in one request. Browsers keep 150 to 180 for
	// a site, so that whoever can plant some, on a sub-domain, cannot plant enough to push the real one out.
	maxCandidates = 200
)

// newID returns a fresh session id.
func newID() string {
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// signer signs with one key. It is safe for concurrent use.
type signer struct{ macs sync.Pool }

// mac is a hash with room for what goes in and comes out.
type mac struct {
	hash.Hash
	in  []byte
	sum [sha256.Size]byte
	out [valueLength]byte
}

func newSigner(key []byte) *signer {
	key = bytes.Clone(key) // it is used again whenever the pool is empty
	return &signer{macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}}
}

// sign returns the cookie value for id. The cookie's name is signed too, so that a value cannot be moved to
// another cookie of the same program.
func (s *signer) sign(name, id string) string {
	m := s.macs.Get().(*mac)
	defer s.macs.Put(m)
	return string(m.sign(name, id))
}

// signed reports whether value is what sign returns for id.
func (s *signer) signed(name, id, value string) bool {
	m := s.macs.Get().(*mac)
	defer s.macs.Put(m)
	return subtle.ConstantTimeCompare(m.sign(name, id), []byte(value)) == 1
}

// sign returns what is good until its next call.
func (m *mac) sign(name, id string) []byte {
	m.Reset()
	m.in = append(append(append(m.in[:0], name...), '='), id...)
	m.Write(m.in)
	return base64.RawURLEncoding.AppendEncode(append(append(m.out[:0], id...), '.'), m.Sum(m.sum[:0]))
}

// keyring is the keys of a store: the first signs, all of them verify.
type keyring []*signer

func newKeyring(keys [][]byte) keyring {
	ring := make(keyring, len(keys))
	for i, key := range keys {
		ring[i] = newSigner(key)
	}
	return ring
}

// verify returns the id of a cookie value that one of the keys has signed.
func (k keyring) verify(name, value string) (id string, ok bool) {
	if len(value) != valueLength || value[idLength] != '.' {
		return "", false
	}
	id = value[:idLength]
	for _, s := range k {
		if s.signed(name, id, value) {
			return id, true
		}
	}
	return "", false
}

// first returns the id of the first validly signed cookie: one that somebody planted beside it cannot push the
// real one out.
func (k keyring) first(name string, cookies []*http.Cookie) (id string, ok bool) {
	for _, c := range cookies[:min(len(cookies), maxCandidates)] {
		if id, ok := k.verify(name, c.Value); ok {
			return id, true
		}
	}
	return "", false
}

// setCookie sets the session's cookie, in place of one that this response may carry already.
func setCookie(w http.ResponseWriter, name, value string, o *gsessions.Options, maxAge int) {
	header := w.Header()
	old := header["Set-Cookie"]
	kept := old[:0]
	for _, line := range old {
		if !strings.HasPrefix(line, name+"=") {
			kept = append(kept, line)
		}
	}
	cookie := &http.Cookie{
		Name: name, Value: value, Path: o.Path, Domain: o.Domain, MaxAge: maxAge,
		Secure: o.Secure, HttpOnly: o.HttpOnly, SameSite: o.SameSite, Partitioned: o.Partitioned,
	}
	header["Set-Cookie"] = append(kept, cookie.String())
}

// seconds rounds up, so that a cookie never ends before its session.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
