package redistest

import (
	"slices"
	"strings"
	"time"
)

// Fate is what happens to one command. The zero value forwards the command and returns its answer.
type Fate struct {
	Answer string        // replaces the server's answer, without the last line break; the server never sees the command
	Delay  time.Duration // before the answer, once for all commands that arrived together
	Lose   bool          // the server sees neither the command nor anything later on its connection
	Mute   bool          // the server executes the command, but the client gets no answer to it or to anything later
	Cut    bool          // the server executes the command and all that arrived with it; then the connection closes
}

// Match selects commands. args holds the name, in the client's spelling, and the arguments. A Proxy calls it for one
// command at a time; it must not call the Proxy.
type Match func(args []string) bool

// Answers of a Redis in trouble.
const (
	ReadOnly    = "-READONLY You can't write against a read only replica."
	Loading     = "-LOADING Redis is loading the dataset in memory"
	MaxClients  = "-ERR max number of clients reached"
	ClusterDown = "-CLUSTERDOWN The cluster is down"
	MasterDown  = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)

// Any matches every command, including those that set up a connection.
func Any([]string) bool { return true }

// Named matches commands by name, ignoring case.
func Named(names ...string) Match {
	return func(args []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, args[0]) })
	}
}

var (
	// Reads matches commands that read data, except scripts that may write.
	Reads = Named("GET", "MGET", "EXISTS", "TYPE", "TTL", "PTTL", "HGET", "HMGET", "HGETALL", "HEXISTS", "HKEYS",
		"HVALS", "HLEN", "EVAL_RO", "EVALSHA_RO")
	// Writes matches commands that change data, and scripts.
	Writes = Named("SET", "INCR", "INCRBY", "DEL", "UNLINK", "EXPIRE", "PEXPIRE", "RENAME", "HSET", "HDEL", "HINCRBY",
		"EVAL", "EVALSHA")
	// Scripts matches scripts that may write.
	Scripts = Named("EVAL", "EVALSHA")
)
