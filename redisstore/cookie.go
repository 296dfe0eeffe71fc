package redisstore

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	gsessions "github.com/gorilla/sessions"
)

// A cookie is id + "." + signature (HMAC-SHA256), and nothing else. There is no time in it: Redis alone
// decides how long a session lives.
//
// An id is 144 random bits and a hash tag of 16 more, both in unpadded base64url: "k3Jd…{abc}". The tag decides which
// slot of a Cluster and which shard of a Ring has the session. A new id for the session keeps it.
const (
	macLength = 43 // base64.RawURLEncoding.EncodedLen(sha256.Size)
	// maxIDLength limits what is verified. The ids of an older version have 27 characters and no tag.
	maxIDLength = 29

	// maxCandidates limits the cookies of one name that are verified in one request, besides those that are none at a
	// glance. Browsers keep 150 to 180 for a site, so an attacker who can plant some, on a subdomain, cannot plant enough to
	// push the real one out.
	maxCandidates = 200
)

// newID returns a fresh session id.
func newID() string { return newIDBeside("{" + random(2) + "}") }

// newIDBeside returns a fresh id with the hash tag of another: a script may move the session from one to the other.
func newIDBeside(id string) string {
	tag := strings.IndexByte(id, '{')
	if tag < 0 {
		return newID()
	}
	return random(18) + id[tag:]
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// signer signs with one key. It is safe for concurrent use.
type signer struct {
	hashes sync.Pool // of hash.Hash: making one takes 3 of the 4 µs that a signature would take
}

func newSigner(key []byte) *signer {
	key = bytes.Clone(key) // it is used again whenever the pool is empty
	return &signer{hashes: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sign returns the cookie value for id. The cookie's name is signed too, so that a value cannot be moved to
// another cookie of the same program.
func (s *signer) sign(name, id string) string {
	h := s.hashes.Get().(hash.Hash)
	defer s.hashes.Put(h)
	h.Reset()
	text := []byte(name + "=" + id)
	_, _ = h.Write(text) // a hash takes everything
	return id + "." + base64.RawURLEncoding.EncodeToString(h.Sum(text[:0]))
}

// keyring is the keys of a store: the first signs, all of them verify.
type keyring []*signer

// idIn returns the id in a cookie value, before its signature is verified; "" if the value cannot be one.
func idIn(value string) string {
	dot := len(value) - macLength - 1
	if dot < 1 || dot > maxIDLength || value[dot] != '.' {
		return ""
	}
	return value[:dot]
}

// verify returns the id of a cookie value that one of the keys has signed.
func (k keyring) verify(name, value string) (id string, ok bool) {
	if id = idIn(value); id == "" {
		return "", false
	}
	for _, s := range k {
		if hmac.Equal([]byte(s.sign(name, id)), []byte(value)) {
			return id, true
		}
	}
	return "", false
}

// first returns the id of the first validly signed cookie: a planted one beside it cannot push the real one
// out.
func (k keyring) first(name string, cookies []*http.Cookie) (id string, ok bool) {
	for _, c := range cookies[:min(len(cookies), maxCandidates)] {
		if id, ok := k.verify(name, c.Value); ok {
			return id, true
		}
	}
	return "", false
}

// setCookie sets the session's cookie, in place of one that this response may carry already.
func setCookie(w http.ResponseWriter, name, value string, o gsessions.Options, maxAge int) {
	header := w.Header()
	header["Set-Cookie"] = slices.DeleteFunc(header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, name+"=") })
	o.MaxAge = maxAge
	cookie := gsessions.NewCookie(name, value, &o)
	cookie.Expires = time.Time{} // Max-Age says it
	header["Set-Cookie"] = append(header["Set-Cookie"], cookie.String())
}

// seconds rounds up, so that a cookie never ends before its session.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
