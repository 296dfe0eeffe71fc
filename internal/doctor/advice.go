package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

// permissions is what a user of Redis needs for the store and for this look at it, in the words of ACL SETUSER.
const permissions = "+evalsha +eval +hgetall +hset +hdel +time +exists +rename +pexpire +pttl +del +set +get +ping"

// advice says what an error reply means and what to do about it.
type advice struct {
	reply        string // the part of the reply that tells it from others, in lower case
	message, fix string
}

// advices returns what is known about error replies. source is where the address comes from, prefix that of the keys.
func advices(source, prefix string) []advice {
	present := "take the present password from whoever runs this Redis and put it into " + source
	return []advice{
		{"noauth", "it wants a password, and none is configured", "put it into " + source + ": redis://:PASSWORD@HOST:PORT"},
		{"wrongpass", "it refuses the password", present},
		{"invalid password", "it refuses the password", present},
		{"without any password", "a password is configured, but this Redis has none", "set requirepass there, or remove it from " + source},
		{"permission", "the user may not do what the store needs", "ACL SETUSER NAME ~" + prefix + "* " + permissions +
			" (in a Cluster also +cluster|slots +asking)"},
		{"protected mode", "it refuses other machines, because it has no password (protected mode)",
			"set requirepass in redis.conf and put the password into " + source},
		{"oom command", "its memory is full: nothing can be written", "give it more memory (maxmemory, a larger plan), or remove other data from it"},
		{"readonly", "it is a replica, which cannot be written to", "use the master's address, or Sentinel's (master_name=...)"},
		{"misconf", "it refuses writes, because it could not save its data to disk", "look at its log; the disk is probably full"},
		{"masterdown", "it is a replica without its master", "use the master's address, or bring the master back"},
		{"clusterdown", "the Cluster is down: some slots have no master", "redis-cli --cluster check, then --cluster fix"},
		{"cluster support disabled", "REDIS_CLUSTER is set, but this Redis is no Cluster", "remove REDIS_CLUSTER"},
		{"moved ", "it is one node of a Cluster, and is used as if it were alone", "set REDIS_CLUSTER=true"},
		{"loading", "it is still loading its data", "wait; the app goes on by itself"},
		{"max number of clients", "it has no connection left for us",
			"raise maxclients (a larger plan), lower REDIS_POOL_SIZE, or end what else is connected (CLIENT LIST)"},
		{"db index is out of range", "it has no database of that number", "use /0 at the end of " + source},
		{"unknown command", "it lacks a command that the store needs, or somebody has renamed it",
			"use Redis 5 or later, or Valkey, and do not rename " + permissions},
	}
}

// explain says in words what an error of the Redis client means and what to do.
func (d *doctor) explain(err error) (message, fix string) {
	text := strings.ToLower(err.Error())
	if errors.Is(err, redisstore.ErrFull) {
		text = "oom command not allowed"
	}
	text = strings.Replace(text, "can't run this command", "no permission", 1) // what a script says
	for _, a := range advices(d.redis.Source, d.cfg.KeyPrefix) {
		if strings.Contains(text, a.reply) {
			return a.message, a.fix
		}
	}
	var reply redis.Error
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it does not answer within " + d.limit().String(), "see whether it is overloaded, stopped or swapping (redis-cli PING there), and restart it"
	case closed(err):
		return "it closes the connection", "look at its log; " + d.redis.Source + " may name another service's port"
	case errors.As(err, &reply):
		return "it answers: " + err.Error(), "look at its log and its configuration"
	}
	return "what it answers is not understood: " + err.Error(), "correct " + d.redis.Source + ": this may be another kind of server"
}

// closed reports whether the server has closed a connection, or refused a new one.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.As(err, new(*net.OpError)) || errors.As(err, new(*os.SyscallError))
}
