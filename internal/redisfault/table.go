package redisfault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

// is reports whether an error is of a kind.
type is func(error) bool

const (
	wait = "Try again in a moment."
	// waitOr begins a sentence that says what to do if waiting does not help.
	waitOr = wait + " If that does not help, "
	// look is the advice if all that is known is that Redis is not at the address that the app uses.
	look = waitOr + "check that Redis runs at the address that this app uses, " +
		"and whether it requires TLS (rediss://) or not (redis://)."
	restart = " and restart the app."
)

// rights are the ACL rules that the store needs, with the app's prefix.
var rights = strings.ReplaceAll(redisstore.Rights, redisstore.DefaultPrefix, "visits:")

// WantsTLS is the fault of a Redis that requires TLS but is addressed without it. Most servers just close the connection,
// so only an attempt with TLS can tell.
var WantsTLS = Fault{
	Code:  "TLS wanted",
	Wrong: "The server at the address of Redis requires TLS, but the address does not use it.",
	Todo:  "Write rediss:// instead of redis:// in the address of Redis" + restart,
}

// DamagedSecret is the fault of a Redis in which the key of the shared secret holds something else.
var DamagedSecret = Fault{
	Code:  "shared secret",
	Wrong: "The shared secret in Redis, which signs the cookies, is damaged: it is too short, or of another type.",
	Todo:  "Delete its key, which ends in \"secret\": the app makes a new one, and all sessions start over. Or set SESSION_SECRET.",
}

// faults are all known faults, the more specific ones first.
var faults = []struct {
	is
	Fault
}{
	// Answers of Redis. Unknown commands come first, because that answer repeats what the client sent.
	{reply("unknown command", "unknown redis command", "unknown subcommand"), Fault{
		Code:  "unknown command",
		Wrong: "Redis does not know a command that this app needs: it is too old, or the command has been renamed.",
		Todo:  "Use Redis 5 or later, or Valkey, and rename none of the commands that this app needs.",
	}},
	{reply("NOPERM", "no permission", "can't run this command", "can't access at least one of the keys"), Fault{
		Code:  "NOPERM",
		Wrong: "The Redis user of this app lacks permissions that the app needs (NOPERM).",
		Todo:  "Give the user its rights: ACL SETUSER NAME " + rights + " (visits: is KEY_PREFIX; a Cluster needs " + redisstore.ClusterRights + " too).",
	}},
	{reply("NOAUTH", "unauthenticated multibulk length", "unauthenticated bulk length"), Fault{ // not NOAUTH to long commands
		Code:  "NOAUTH",
		Wrong: "Redis requires a password, but this app has none (NOAUTH).",
		Todo:  "Put the password into the address of Redis (redis://:PASSWORD@HOST:PORT)" + restart,
	}},
	{reply("WRONGPASS", "invalid password"), Fault{
		Code:  "WRONGPASS",
		Wrong: "Redis rejects the password of this app (WRONGPASS).",
		Todo:  "Put the current password into the address of Redis" + restart,
	}},
	{reply("without any password configured", "but no password is set"), Fault{
		Code:  "no password",
		Wrong: "This app sends a password, but this Redis has none.",
		Todo:  "Remove the password from the address of Redis" + restart + " Better: give Redis this password (requirepass).",
	}},
	{reply("DENIED", "protected mode"), Fault{
		Code:   "DENIED",
		Wrong:  "Redis refuses connections from other machines, because it has no password (protected mode).",
		Todo:   "Set requirepass in redis.conf, put the password into the address of Redis" + restart,
		Closes: true,
	}},
	{reply("OOM"), Fault{
		Code:  "OOM",
		Wrong: "Redis is out of memory and accepts no new data (OOM).",
		Todo:  "Give it more memory (maxmemory, a larger plan), remove other data, or let sessions end earlier (SESSION_TTL).",
	}},
	{reply("READONLY"), Fault{
		Code:   "READONLY",
		Wrong:  "This Redis is a replica and accepts no writes (READONLY).",
		Todo:   waitOr + "use the master's address, or Sentinel's (master_name=...).",
		Passes: true,
	}},
	{reply("MISCONF"), Fault{
		Code:  "MISCONF",
		Wrong: "Redis accepts no writes, because it could not save its data to disk (MISCONF).",
		Todo:  "Look at the log of Redis: its disk is probably full.",
	}},
	{reply("NOREPLICAS"), Fault{
		Code:   "NOREPLICAS",
		Wrong:  "Redis accepts no writes, because too few of its replicas are connected (NOREPLICAS).",
		Todo:   waitOr + "bring the replicas back, or lower min-replicas-to-write.",
		Passes: true,
	}},
	{reply("MASTERDOWN"), Fault{
		Code:   "MASTERDOWN",
		Wrong:  "This Redis is a replica that has lost its master (MASTERDOWN).",
		Todo:   waitOr + "bring the master back, or use its address.",
		Passes: true,
	}},
	{reply("CLUSTERDOWN"), Fault{
		Code:   "CLUSTERDOWN",
		Wrong:  "A part of the Redis Cluster is down and has not been replaced yet (CLUSTERDOWN).",
		Todo:   waitOr + "look with redis-cli --cluster check.",
		Passes: true,
	}},
	{reply("TRYAGAIN"), Fault{
		Code:   "TRYAGAIN",
		Wrong:  "The Redis Cluster is moving the session to another node (TRYAGAIN).",
		Todo:   wait,
		Passes: true,
	}},
	{reply("MOVED", "ASK"), Fault{
		Code:  "MOVED",
		Wrong: "This Redis is a node of a Cluster, but this app uses it as a single server (MOVED).",
		Todo:  "Set REDIS_CLUSTER=true" + restart,
	}},
	{reply("cluster support disabled"), Fault{
		Code:  "no Cluster",
		Wrong: "This app uses this Redis as a Cluster, but it is not one.",
		Todo:  "Remove REDIS_CLUSTER, or all addresses except one," + restart,
	}},
	{reply("LOADING"), Fault{
		Code:   "LOADING",
		Wrong:  "Redis has just started and is still loading its data (LOADING).",
		Todo:   wait,
		Passes: true,
	}},
	{reply("BUSY"), Fault{
		Code:   "BUSY",
		Wrong:  "Redis is busy with a long-running script (BUSY).",
		Todo:   waitOr + "end the script with SCRIPT KILL.",
		Passes: true,
	}},
	{reply("UNKILLABLE"), Fault{
		Code:   "UNKILLABLE",
		Wrong:  "Redis is busy with a script that cannot be killed, because it has written data (UNKILLABLE).",
		Todo:   "Wait until it ends. SHUTDOWN NOSAVE stops Redis, and loses the data that is not yet on disk.",
		Passes: true,
	}},
	{reply("max number of clients", "max number of connections"), Fault{
		Code:   "max clients",
		Wrong:  "Redis has no connection left for this app.",
		Todo:   waitOr + "raise maxclients (a larger plan), lower REDIS_POOL_SIZE, or close other connections (CLIENT LIST).",
		Closes: true,
		Passes: true,
	}},
	{reply("db index is out of range", "invalid db index", "select is not allowed in cluster mode"), Fault{
		Code:  "DB index",
		Wrong: "This Redis has no database with that number.",
		Todo:  "Correct the number at the end of its address (/0)" + restart,
	}},
	{reply("WRONGTYPE"), Fault{
		Code:  "WRONGTYPE",
		Wrong: "A key of this app holds data of another program (WRONGTYPE).",
		Todo:  "Set KEY_PREFIX to a prefix that no other program uses" + restart,
	}},
	{reply("NOSCRIPT"), Fault{
		Code:  "NOSCRIPT",
		Wrong: "Redis forgets the scripts of this app (NOSCRIPT).",
		Todo:  "Connect to Redis directly, or through a proxy that forwards EVAL and EVALSHA.",
	}},

	// Errors that are not answers of Redis.
	{unparsed(`"HTTP/`), Fault{
		Code:  "HTTP",
		Wrong: "The server at the address of Redis speaks HTTP.",
		Todo:  "Correct the address of Redis: this is the port of a web server.",
	}},
	{unparsed(`"\x15\x03`), WantsTLS},
	{unparsed(""), Fault{
		Code:  "no Redis",
		Wrong: "The server at the address of Redis is not Redis.",
		Todo:  "Correct the address of Redis: this is the port of another service. " + look,
	}},
	{expired, Fault{
		Code:  "certificate expired",
		Wrong: "The certificate of Redis is not trusted: it has expired or is not valid yet.",
		Todo:  "Renew the certificate on the server. If it is valid, set the clock of this machine.",
	}},
	{as[x509.HostnameError], Fault{
		Code:  "certificate of another host",
		Wrong: "The certificate of Redis is for another host.",
		Todo:  "Use the host name that the certificate is for, or issue a certificate for the name that the app uses.",
	}},
	{as[*tls.CertificateVerificationError], Fault{
		Code:  "certificate not trusted",
		Wrong: "The certificate of Redis is not trusted.",
		Todo:  "Set REDIS_TLS_CA to the certificate of the authority that signed it. REDIS_TLS_VERIFY=false accepts any certificate.",
	}},
	{as[tls.RecordHeaderError], Fault{
		Code:  "no TLS",
		Wrong: "The server at the address of Redis does not speak TLS.",
		Todo:  "Use the port on which Redis speaks TLS, or redis:// in its address. " + look,
	}},
	{operation("remote error", "local error"), Fault{
		Code:  "TLS refused",
		Wrong: "Redis and this app cannot agree on TLS.",
		Todo:  "Set tls-auth-clients no in redis.conf, because this app has no client certificate, and allow TLS 1.2 or later.",
	}},
	{text("redis: all sentinels"), Fault{
		Code:   "no master",
		Wrong:  "No Sentinel says where the master of Redis is.",
		Todo:   waitOr + "check the addresses of the Sentinels and master_name.",
		Passes: true,
	}},
	{target(redis.ErrPoolTimeout, redis.ErrPoolExhausted), Fault{
		Code:   "pool",
		Wrong:  "All connections of this app to Redis are in use.",
		Todo:   waitOr + "raise REDIS_POOL_SIZE, or start more instances.",
		Passes: true,
	}},
	{target(redis.ErrClosed), Fault{
		Code:  "closed",
		Wrong: "This app has closed its connections to Redis, because it is stopping.",
		Todo:  wait,
	}},
	{target(context.Canceled), Fault{
		Code:  "canceled",
		Wrong: "The request was cancelled before Redis answered.",
		Todo:  wait,
	}},
	{as[*net.DNSError], Fault{
		Code:   "DNS",
		Wrong:  "Redis cannot be reached. The name of its host cannot be resolved.",
		Todo:   "Correct the address of Redis, or wait: the name of a new service may take minutes to appear.",
		Passes: true,
	}},
	{unanswered, Fault{
		Code:   "connect timeout",
		Wrong:  "Redis did not answer in time. Nothing accepts a connection at its address.",
		Todo:   "Check the address, firewalls and security groups. " + look,
		Passes: true,
	}},
	{timeout, Fault{
		Code:   "timeout",
		Wrong:  "Redis did not answer in time.",
		Todo:   look,
		Passes: true,
	}},
	{target(syscall.ECONNREFUSED, fs.ErrNotExist), Fault{
		Code:   "refused",
		Wrong:  "Redis cannot be reached. Nothing listens at its address.",
		Todo:   "Start Redis there. " + look,
		Passes: true,
	}},
	{target(fs.ErrPermission), Fault{
		Code:   "permission",
		Wrong:  "Redis cannot be reached. This program may not open its socket.",
		Todo:   "Set unixsocketperm in redis.conf, or add the user of this program to the group of the socket.",
		Passes: true,
	}},
	{closed, Fault{
		Code:   "connection closed",
		Wrong:  "Redis cannot be reached. It closes the connection.",
		Todo:   look,
		Passes: true,
	}},
	// Matched by text: an error value would be another exported name of redisstore, for this row alone.
	{text("the shared secret is shorter", "lies under the key of the shared secret"), DamagedSecret},
	{as[net.Error], Fault{
		Code:   "network",
		Wrong:  "Redis cannot be reached.",
		Todo:   look,
		Passes: true,
	}},
}

// reply matches an answer of Redis by its code, or by a part of its text in lower case. If a command fails in a script, an
// older Redis wraps the code in a sentence.
func reply(words ...string) is {
	return func(err error) bool {
		answer := replyOf(err)
		lower := strings.ToLower(answer)
		return slices.ContainsFunc(words, func(word string) bool {
			return strings.HasPrefix(answer+" ", word+" ") || strings.Contains(answer, "-"+word+" ") || strings.Contains(lower, word)
		})
	}
}

// text matches an error that has no type of its own by a part of its text, however it is wrapped.
func text(parts ...string) is {
	var holds is
	holds = func(err error) bool {
		switch e := err.(type) {
		case nil:
			return false
		case interface{ Unwrap() []error }:
			return slices.ContainsFunc(e.Unwrap(), holds)
		}
		says := func(part string) bool { return strings.Contains(err.Error(), part) }
		return slices.ContainsFunc(parts, says) || holds(errors.Unwrap(err))
	}
	return holds
}

// unparsed matches an answer that is not in the protocol of Redis, by a part of it that go-redis quotes.
func unparsed(part string) is {
	refused, quoted := text("redis: can't parse", "redis: invalid reply"), text(part)
	return func(err error) bool { return refused(err) && quoted(err) }
}

func target(targets ...error) is {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// operation matches a network error by what was tried.
func operation(names ...string) is {
	return func(err error) bool {
		op, ok := errors.AsType[*net.OpError](err)
		return ok && slices.Contains(names, op.Op)
	}
}

func expired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

func timeout(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && network.Timeout()
}

// unanswered matches an attempt to connect that was neither accepted nor refused.
func unanswered(err error) bool { return timeout(err) && operation("dial")(err) }

func closed(err error) bool {
	return target(io.EOF, io.ErrUnexpectedEOF, net.ErrClosed)(err) || operation("read", "write")(err)
}
