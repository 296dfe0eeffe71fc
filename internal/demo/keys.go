package demo

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"visit-counter/internal/fleet"
)

// keyTimeout limits the action that a key starts.
const keyTimeout = time.Minute

// control obeys the letters that the user types, until ctx ends or the letter is q. keyboard is nil if there is no terminal.
func control(ctx context.Context, f *fleet.Fleet, keyboard io.Reader, log *transcript) {
	typed := make(chan string)
	if keyboard == nil {
		log.say("Ctrl-C ends everything")
	} else {
		log.say("%s", keyHelp(f))
		go func() { // a read cannot be cancelled: it ends when the input does
			for s := bufio.NewScanner(keyboard); s.Scan(); {
				typed <- strings.ToLower(strings.TrimSpace(s.Text()))
			}
		}()
	}
	for killed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case key := <-typed:
			switch key {
			case "q":
				return
			case "k": // a different one each time
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

// keyHelp lists the keys. Redis can be stopped only if the fleet has started a redis-server.
func keyHelp(f *fleet.Fleet) string {
	stop := "   s stop or start Redis"
	if f.RedisServer() == nil {
		stop = ""
	}
	return "type a letter and Enter:  r restart all, one by one   k kill one" + stop + "   q quit"
}

// press obeys a key whose action may take a while.
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
		done = "this demo cannot stop its Redis: it has not started a redis-server"
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
