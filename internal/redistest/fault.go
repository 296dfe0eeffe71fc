package redistest

import (
	"slices"
	"strings"
	"time"
)

// Fate is what becomes of one command. The zero value passes it on, and its answer back.
type Fate struct {
	Answer string        // instead of the server's, which never sees the command; without the last line break
	Delay  time.Duration // before the answer, once for all commands that came together
	Lose   bool          // the server sees neither the command nor what follows on its connection
	Mute   bool          // the server executes the command; neither it nor what follows is answered
	Cut    bool          // the server executes the command and all that came with it; then the connection closes
}

// Match selects commands. args holds the name, as the client spelled it, and the arguments. A Proxy calls it for one
// command at a time; it must not call the Proxy.
type Match func(args []string) bool

// Answers of a Redis in trouble.
const (
	ReadOnly    = "-READONLY You can't write against a read only replica."
	Loading     = "-LOADING Redis is loading the dataset in memory"
	OutOfMemory = "-OOM command not allowed when used memory > 'maxmemory'."
	MaxClients  = "-ERR max number of clients reached"
	ClusterDown = "-CLUSTERDOWN The cluster is down"
	MasterDown  = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)

// Any matches every command, those with which a client sets its connection up included.
func Any([]string) bool { return true }

// Named matches commands by name, whatever their case.
func Named(names ...string) Match {
	return func(args []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, args[0]) })
	}
}

var (
	// Reads matches commands that look at data, but no scripts.
	Reads = Named("GET", "MGET", "EXISTS", "TYPE", "TTL", "PTTL", "HGET", "HMGET", "HGETALL", "HEXISTS", "HKEYS",
		"HVALS", "HLEN", "EVAL_RO", "EVALSHA_RO")
	// Writes matches commands that change data, and scripts.
	Writes = Named("SET", "INCR", "INCRBY", "DEL", "UNLINK", "EXPIRE", "PEXPIRE", "RENAME", "HSET", "HDEL", "HINCRBY",
		"EVAL", "EVALSHA")
)
