package demo

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"visit-counter/internal/fleet"
)

// keyTimeout bounds what one key starts.
const keyTimeout = time.Minute

// control obeys the keys that are typed until ctx ends or somebody quits. Without an input it waits for ctx.
func control(ctx context.Context, f *fleet.Fleet, in io.Reader, log *transcript) {
	if in == nil {
		log.say("Ctrl-C ends everything")
		<-ctx.Done()
		return
	}
	log.say("%s", keyHelp(f))
	typed := lines(in)
	for killed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case key, ok := <-typed:
			switch {
			case !ok:
				typed = nil // nobody types any more
			case key == "q":
				return
			case key == "k": // each time another one
				in := f.Instances()[killed%len(f.Instances())]
				killed++
				log.say("killing %s", in.Name())
				in.Kill()
			default:
				press(ctx, f, key, log)
			}
		}
	}
}

// keyHelp lists the keys. Redis can be stopped only where it is the fleet's own.
func keyHelp(f *fleet.Fleet) string {
	stop := "   s stop or start Redis"
	if f.RedisServer() == nil {
		stop = ""
	}
	return "type a letter and Enter:  r restart all, one by one   k kill one" + stop + "   q quit"
}

// lines returns what is typed, line by line. A read cannot be cancelled: the goroutine ends with in.
func lines(in io.Reader) <-chan string {
	typed := make(chan string)
	go func() {
		defer close(typed)
		for s := bufio.NewScanner(in); s.Scan(); {
			typed <- strings.ToLower(strings.TrimSpace(s.Text()))
		}
	}()
	return typed
}

// press obeys a key that may take a while.
func press(ctx context.Context, f *fleet.Fleet, key string, log *transcript) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	server, done := f.RedisServer(), ""
	var err error
	switch {
	case key == "r":
		log.say("restarting the instances one by one")
		done, err = "all instances have been restarted", f.Roll(ctx)
	case key == "s" && server == nil:
		done = "this demo cannot stop its Redis: it is not a redis-server of its own"
	case key == "s" && server.Running():
		log.say("stopping Redis: visitors get a 503 page; s starts it again")
		server.Stop()
		done = "Redis has stopped"
	case key == "s":
		done, err = "Redis is back, with its data", server.Restart(ctx)
	default:
		done = keyHelp(f)
	}
	if err != nil {
		done = "that did not work: " + err.Error()
	}
	log.say("%s", done)
}
