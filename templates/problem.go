package templates

import (
	"net/http"
	"strings"

	"visit-counter/internal/config"
)

// Problem is a page that is not a counted visit, and the answer to a client that prefers JSON: Wrong is
// its "error" and Todo its "hint". No field may hold a secret or the text of a library's error.
type Problem struct {
	Status    int      // of the answer
	Title     string   // the heading, without a full stop
	Wrong     string   // what is wrong, or what happens now, in a sentence or two
	Todo      string   // what to do about it, in a sentence or two
	Commands  []string // to be typed, in this order; may be empty
	Button    string   // what the button that leads to the counter says; empty: "Try again"
	CountSafe bool     // true adds that the count is safe
	Waiting   bool     // true makes the page go back to the count by itself once the app is ready
}

const toCounter = "Back to the counter"

// NotFound is the page for an unknown path.
func NotFound() Problem {
	return Problem{
		Status: http.StatusNotFound,
		Title:  "There is nothing here",
		Wrong:  "This address does not exist.",
		Todo:   "The counter is at /.",
		Button: toCounter,
	}
}

// MethodNotAllowed is the page for a known path with the wrong method.
func MethodNotAllowed() Problem {
	return Problem{
		Status: http.StatusMethodNotAllowed,
		Title:  "This does not work that way",
		Wrong:  "This address exists, but not for this kind of request.",
		Todo:   "The Allow header of this answer names the methods that it takes. A visit is a GET of /, starting over a POST to /reset.",
		Button: toCounter,
	}
}

// Forbidden is the page for a form that another site has sent.
func Forbidden() Problem {
	return Problem{
		Status: http.StatusForbidden,
		Title:  "Another site has sent this",
		Wrong:  "The request came from a page that is not this one, so nothing was done.",
		Todo: "Use the buttons on the counter's own page. If you did, a proxy on the way rewrites the Host header: " +
			"let it pass on the browser's.",
		Button:    toCounter,
		CountSafe: true,
	}
}

// Internal is the page for a bug of the app. It does not name the cause, which is in the log.
func Internal() Problem {
	return Problem{
		Status: http.StatusInternalServerError,
		Title:  "Something broke on our side",
		Wrong:  "The answer could not be made. The reason is in the log of this process.",
		Todo:   "Try again. If it happens again, look up the log line of this request.",
	}
}

// Unavailable is the page for a Redis that could not be asked. wrong and todo are sentences for everybody: "Redis is
// out of memory."
func Unavailable(wrong, todo string) Problem {
	return Problem{
		Status:    http.StatusServiceUnavailable,
		Title:     "Redis cannot count this visit",
		Wrong:     wrong,
		Todo:      todo,
		CountSafe: true,
	}
}

// ResetFailed is the page for a reset that Redis did not confirm. The session may still be there or not: the deletion may
// have happened and only its answer got lost.
func ResetFailed() Problem {
	return Problem{
		Status: http.StatusServiceUnavailable,
		Title:  "Redis has not confirmed the new start",
		Wrong:  "Starting over deletes your session in Redis, and Redis did not say that it has. Your cookie stays as it is.",
		Todo:   "Try again in a moment.",
	}
}

// NoRedis is the page of an app that no Redis is bound to, with the commands of the platform. app is its name there,
// empty if unknown.
func NoRedis(platform config.Platform, app string) Problem {
	app = shellWord(app)
	p := Problem{
		Status: http.StatusServiceUnavailable,
		Title:  "No Redis is bound to this app",
		Wrong:  "Visits are counted in Redis, and this app has none.",
	}
	switch platform {
	case config.Heroku:
		p.Todo = "Add one with this command. Heroku then restarts the app."
		p.Commands = []string{"heroku addons:create heroku-redis:mini" + option(" --app ", app)}
	case config.CloudFoundry:
		if app == "" {
			app = "visit-counter"
		}
		p.Todo = "Create one, bind it and restage the app. “cf marketplace” lists services and plans."
		p.Commands = []string{
			"cf create-service SERVICE PLAN my-redis",
			"cf bind-service " + app + " my-redis",
			"cf restage " + app,
		}
	default:
		p.Title = "No Redis is configured"
		p.Todo = "Start one, and start the app with its address."
		p.Commands = startRedis()
	}
	return p
}

// shellWord returns a name as a shell reads it: in quotation marks if it is more than letters, digits and - _ .
func shellWord(name string) string {
	plain := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c)
	}
	if strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// startRedis is how to get a Redis that keeps its data, on one's own machine.
func startRedis() []string {
	return []string{"redis-server --appendonly yes", "REDIS_URL=redis://127.0.0.1:6379 SESSION_STORE=redis make run"}
}

func option(flag, value string) string {
	if value == "" {
		return ""
	}
	return flag + value
}

// Prefetch is the answer to a browser that loads the page before anyone has clicked. It has to be an error, so that the
// browser asks again at the click, and that visit counts.
func Prefetch() Problem {
	return Problem{
		Status:    http.StatusServiceUnavailable,
		Title:     "Not counted yet",
		Wrong:     "Your browser asked for this page before you did. Only visits count.",
		Todo:      "Open the page, and the visit counts.",
		CountSafe: true,
	}
}

// Stopping is the page after "Stop this instance". With a script it waits until the app is ready again and goes back to
// the count, and asks /readyz until then, which counts nothing; without one, its button does.
func Stopping(instance string) Problem {
	return Problem{
		Status:    http.StatusAccepted,
		Title:     "Stopping " + instance,
		Wrong:     "This process finishes the requests it has begun and exits. Its supervisor starts a new one, which gets a new row in the ledger.",
		Todo:      "Go back to the counter in a moment. If the process has no supervisor, start it again.",
		Button:    toCounter,
		CountSafe: true,
		Waiting:   true,
	}
}
