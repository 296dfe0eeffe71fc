package redisstore

import "strings"

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// newIDBeside returns a fresh id whose key lies in the same slot as id's, so that one script can move a session
// from one to the other in a Cluster too. It takes about 16,000 attempts, a few milliseconds, and costs 14 of the
// id's 160 random bits.
func (s *Store) newIDBeside(id string) string {
	want := slot(s.key(id))
	for {
		if id := newID(); slot(s.key(id)) == want {
			return id
		}
	}
}

// slot returns a key's hash slot (Redis Cluster specification, "Key distribution model" and "Hash tags").
func slot(key string) uint16 {
	if start := strings.IndexByte(key, '{'); start >= 0 {
		if length := strings.IndexByte(key[start+1:], '}'); length > 0 {
			key = key[start+1 : start+1+length]
		}
	}
	return crc16(key) % slots
}

// crc16 is CRC-16/XMODEM.
func crc16(text string) (crc uint16) {
	for i := range len(text) {
		crc ^= uint16(text[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
