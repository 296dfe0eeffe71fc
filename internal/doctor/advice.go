package doctor

import "visit-counter/internal/redisfault"

// explain says in words what an error of the Redis client means and what to do.
func explain(err error) (message, fix string) {
	fault := redisfault.Explain(err)
	return fault.Wrong, fault.Todo
}
