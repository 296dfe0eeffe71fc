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
// Values are read and set as usual, with [sessions.Default], and come back as they were: all basic types,
// time.Time, time.Duration, []byte, and slices, arrays, maps and pointers of them. Name your own types once: [WithTypes].
// A time comes back without its monotonic reading, and with its offset in the place of a location's name.
//
// A handle, [Default], does what gin-contrib/sessions has no methods for:
//
//   - Log in: [Session.Regenerate], then Set and Save. The old id is worthless from then on.
//   - Log out: [Session.Destroy]. Clear and Save would leave an empty session under the same id.
//   - Remember me: Options with a MaxAge of 30 days, before Save. The session keeps it, with every later cookie.
//   - Pages that only read do not renew the session: [Session.Touch] does.
//   - Routes that need their session: [Require]. Without it, a Redis that is down looks like "not logged in".
//   - Count: [Session.Increment] loads, adds and renews with one command, and no count is ever lost or doubled.
//
// # Errors
//
// [ErrUnavailable]: answer 503 and set no cookie; the session is as it was. After [ErrCorrupt], go on with [Session.Abandon].
// context.Canceled is neither: the visitor has left. gin-contrib/sessions only logs the error of a load; Save returns it.
//
// # What is guaranteed
//
// An Increment without an error has counted exactly once, and its [Result.Count] is its own number. Requests that set
// different fields keep both. What failed to load is never saved, and what is gone never comes back.
//
// The README beside this file has that in exact words, the data in Redis, and the way from gin-contrib's redis store.
package redisstore
