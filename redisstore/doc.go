// Package redisstore keeps the sessions of [github.com/gin-contrib/sessions] in Redis, through go-redis v9, so that
// concurrent requests of one session, over any number of processes, never undo each other. TLS, Cluster, Ring and Sentinel
// work, because the client is yours. Programs without gin use [Store.Session]: a Store is one of gorilla/sessions too.
//
//	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
//	store, err := redisstore.New(rdb, nil) // nil: the processes share a random secret in Redis
//	router.Use(sessions.Sessions("session", store))
//
// Check the error of New. It does no I/O: [Store.Check] says whether this Redis can keep sessions.
//
// Values are read and set as everyone knows it, with [sessions.Default], and come back as they were: all basic types,
// time.Time, time.Duration, []byte, and slices, arrays, maps and pointers of them. Name your own types once: [WithTypes].
// A time comes back without its monotonic reading, and with its offset in the place of a location's name.
//
// What the others have no words for is done by a handle, [Default]:
//
//   - Log in: [Session.Regenerate], then Set and Save. Whoever knew the old id knows nothing now.
//   - Log out: [Session.Destroy]. Clear and Save is not it: the session would go on, empty, under its id.
//   - Remember me: Options with a MaxAge of 30 days, before Save. The session keeps it, with every later cookie.
//   - Pages that only read do not renew the session: [Session.Touch] does.
//   - Routes that need their session: [Require]. Without it a Redis that is away looks like "not logged in".
//   - Count: [Session.Increment] loads, adds and renews with one command, and no count is ever lost or doubled.
//
// # Errors
//
// [ErrUnavailable]: answer 503 and set no cookie; the session is as it was. [ErrGone]: it was destroyed or has expired, and
// stays so. [ErrCorrupt]: go on with [Session.Abandon]. [ErrInvalid] is a mistake in the program. An error that is
// context.Canceled is neither: the visitor has left. gin-contrib/sessions only logs the error of a load; Save returns it.
//
// # What is guaranteed
//
//   - Each Increment that returns without an error has counted exactly once, and its [Result.Count] is its own number. One
//     that returns ErrUnavailable has counted once or not at all.
//   - Save writes the fields that the request has changed, and no others: requests that set different fields keep both.
//   - A session whose load failed is never saved, and its cookie neither replaced nor expired.
//   - A session that is gone stays gone, whatever a slow request still writes. No id is ever taken from a cookie that was
//     not signed here.
//   - Every operation ends at its request's deadline, and after [WithTimeout] at the latest. Every key has a time to live,
//     but the shared secret. Nothing is logged, and no error tells an id, a cookie, a password or what Redis said.
//
// The README beside this file has these in exact words, the data in Redis, and the way from gin-contrib's redis store.
// Tests of your program need no Redis: miniredis works.
package redisstore
