package redistest

import (
	"slices"
	"strings"
)

// Match selects commands. args holds the name, as the client spelled it, and the arguments.
type Match func(args []string) bool

// Answers that a Redis in trouble gives, for Reply and Reject.
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

// Reads matches commands that look at data. Scripts are reads only when called with a _RO command.
func Reads(args []string) bool {
	switch strings.ToUpper(args[0]) {
	case "GET", "MGET", "GETRANGE", "STRLEN", "EXISTS", "TYPE", "TTL", "PTTL", "DUMP", "KEYS", "SCAN", "DBSIZE",
		"HGET", "HMGET", "HGETALL", "HEXISTS", "HKEYS", "HVALS", "HLEN", "HSTRLEN", "HSCAN",
		"EVAL_RO", "EVALSHA_RO", "FCALL_RO":
		return true
	}
	return false
}

// Writes matches commands that may change data, scripts included: all but Reads and those that set up or
// look at the connection or the server.
func Writes(args []string) bool {
	switch strings.ToUpper(args[0]) {
	case "HELLO", "AUTH", "CLIENT", "SELECT", "READONLY", "READWRITE", "ASKING", "QUIT", "RESET",
		"PING", "ECHO", "INFO", "COMMAND", "CONFIG", "CLUSTER", "ROLE", "SENTINEL", "SCRIPT",
		"SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
		"REPLCONF", "PSYNC", "SYNC", "MONITOR", "WAIT":
		return false
	}
	return !Reads(args)
}

// Named matches commands by name, whatever their case.
func Named(names ...string) Match {
	return func(args []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, args[0]) })
	}
}
