// Package migration proves that programs written for gin-contrib's redis store behave the same with redisstore. It is a
// separate module, because gin-contrib's store depends on a second Redis client.
package migration
