// Package redisstore keeps the sessions of [github.com/gin-contrib/sessions] in Redis, through go-redis, so that
// concurrent requests of one session, over any number of processes, never undo each other.
//
// It is for sessions: small, short-lived data of one visitor, and counters in them. It is not a cache, not a
// database for what must outlive Redis, and not a place for what one visitor shares with another. Programs
// without gin use the methods of [Store], which is a store of gorilla/sessions too.
//
//	store, err := redisstore.New(rdb, nil) // nil: the processes share a random secret in Redis
//	router.Use(sessions.Sessions("session", store))
//	router.GET("/", func(c *gin.Context) {
//		result, err := redisstore.Increment(c, "visits", 1) // load, count, renew: one command
//		name := sessions.Default(c).Get("name")             // of the session that Increment has loaded
//
// # What is guaranteed
//
//   - Exact: each [Increment] that returns without an error has been counted exactly once, and its [Result.Count] is
//     its own number: no other increment of that session got it. One that returns [ErrUnavailable] has been counted
//     once or not at all. This holds over any number of stores, processes and connections.
//   - Safe to repeat: a Redis client may send an increment again when the reply was lost. The repetition does not
//     count, and is answered with the counters as the first execution left them, beside the other fields as they are by
//     then. What makes that possible is kept in the session until a later increment of the same store finds it settled,
//     or one of another store finds it older than a minute by the clock of Redis: a network that delivers a command
//     again after more than a minute, in which that store has not used the session, makes it count twice, and so does a
//     clock that jumps so far between the two. A repetition that comes too late otherwise is refused. Save, Regenerate
//     and Destroy may be repeated as well.
//   - In line: of one session, a store has at most four increments under way at once. The others wait, first come, first
//     served, and no longer than their request's context: one that ends in line is [ErrUnavailable] and has not counted.
//   - Last writer per field: [Store.Save] writes the fields that the request has changed, and no others. Requests that
//     set different fields keep both; of those that set the same field, the last Save wins.
//   - All or nothing: each of these operations is one script or one command. No reader sees half of it, and no key is
//     ever without a time to live, but the shared secret.
//   - Never wiped: "Redis could not be asked" is not "no session". A session whose load failed refuses to be saved, and
//     its cookie is neither replaced nor expired.
//   - Never resurrected: Save, Increment and Regenerate write to a session only while it exists. Once it was destroyed or
//     has expired, nothing that was loaded before brings it back: Save returns [ErrGone], and an Increment
//     that does its own load begins a new session under a new id. Nothing stays in Redis of a session that is gone. One
//     case is beyond this: the command that created a session, which the client sent twice because its reply was late,
//     and whose first copy the network delivers only after the session was destroyed.
//   - Ids come from this package only: 160 random bits each. One that is unknown, unsigned or no longer in Redis is never
//     taken over from a cookie.
//   - Every method that does I/O ends at its request's deadline, or soon after, and returns [ErrUnavailable] then. Where
//     there is no deadline, it ends when the request is cancelled. Nothing is logged or printed, and no error text contains
//     an id, a cookie, a key or a password.
//
// A request has the context that it had when the Sessions middleware saw it. A middleware that sets c.Request, for a
// time limit for instance, belongs before that one: behind it, gin-contrib/sessions goes on with the request as
// it was, and an Increment costs one command more.
//
// # Errors
//
// [ErrUnavailable] (answer 503, set no cookie), [ErrFull] (one of those), [ErrGone], [ErrTooLarge], [ErrOverflow],
// [ErrCorrupt] (go on with [Abandon] or [Destroy]) and [ErrInvalid] (a mistake in the program). gin-contrib/sessions
// only logs the error of a load and returns an empty session; Save and the functions of this package return it.
//
// # The data
//
// A session is a hash under prefix + "session:" + id. Each field is a name, each value JSON, readable with HGETALL and
// from other languages:
//
//	visits                "12"
//	name                  "\"Ann\""
//	@created              "1795252800000"
//	@TQ3VLGMW2K.0         "[1795252861,118,118,12]"
//
// Names are non-empty UTF-8 without NUL. Those that start with "@" are reserved: @created is the time of creation in
// milliseconds since 1970, by the clock of Redis; the fields @sender.0, @sender.1, ... remember a store's increments that it
// may still repeat, one each: the second at which it was executed, the number below which all are settled, its own number,
// and what its counters were. There is one such field as a rule, and as many as increments are or were under way while the
// oldest of them is: give requests a deadline. Those of processes that have ended go with the first increment after a minute.
//
// What is set comes back, in the next request, as what JSON makes of it:
//
//	string                         string; it has to be UTF-8
//	bool                           bool
//	any integer type               int; a json.Number if it does not fit
//	float32, float64               float64, also if whole: 2.0 is stored with its point
//	nil, a nil pointer             nil
//	a pointer                      what it points to
//	slice, array                   []any
//	map, struct                    map[string]any; encoding/json says which names
//	[]byte                         string, in base64
//	time.Time                      string, RFC 3339
//	json.Marshaler, TextMarshaler  what it writes
//
// Inside of slices, maps and structs, a float that is whole comes back as an int. NaN, the infinities, channels, functions,
// complex numbers, cycles and text that is not UTF-8 are [ErrInvalid], and so are names that are not strings. A field that
// another program has written is not written again for having other blanks or another order.
//
// A counter is a whole number of at most 2^53 - 1 either way, written in digits alone. A field that holds anything else is
// [ErrCorrupt] for an Increment, and nothing is written. Another damaged field of the session shows only when the session is
// decoded, after the counters were written.
//
// The names and values of a session may take 16 KiB together ([WithMaxBytes]), without the reserved ones. A session with a
// name, a counter and the usual prefix takes less than 600 bytes of Redis.
//
// The cookie is id + "." + signature (HMAC-SHA256 of the cookie's name and the id), 71 characters. Where no keys were
// given, the secret is the string under prefix + "secret". Redis restarted without its data gets the old one back from the
// first process that notices; another that a new process has made meanwhile is learned within a second.
//
// # What Redis must allow
//
// Redis 5.0, or Valkey: before, a script that asked for the time could not write. The scripts are sent by EVALSHA, and by
// EVAL once to each node that does not know them. With access control (Redis 6.2), a user for this package alone needs
//
//	resetkeys ~gin:session:* ~gin:secret resetchannels -@all
//	+evalsha +eval +hgetall +hset +hdel +del +exists +rename +pexpire +pttl +time +set +get
//
// with its prefix in the place of gin: and select, if it uses another database than 0. A Cluster client needs
// +cluster|slots and +command as well, and +asking for slots that are moved.
//
// Each script concerns one key, or two of one slot: Cluster needs no hash tags. Reads belong on masters: a replica (ReadOnly,
// RouteByLatency, RouteRandomly) may not know yet what was just written. A failover loses what the old master has not
// replicated.
//
// The client is the caller's, TLS and Sentinel with it. Two of its options matter. ContextTimeoutEnabled should be true:
// without it go-redis ignores deadlines, and this package has to wait in a goroutine beside each command. MaxRetries may
// stay as it is, because every command is safe to repeat. Redis should not evict sessions (maxmemory-policy noeviction, or a
// volatile- one if a visitor may be forgotten), and never the secret: no allkeys- policy where no keys are given.
package redisstore
