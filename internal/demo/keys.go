package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"visit-counter/internal/fleet"
)

// keyTime is the most time for what a key brings about.
const keyTime = time.Minute

// keyHelp lists the keys. Redis can be stopped only where it is the fleet's own.
func keyHelp(f *fleet.Fleet) string {
	stop := "   s stop or start Redis"
	if !f.HasServer() {
		stop = ""
	}
	return "type a letter and Enter:  r restart all, one by one   k kill one" + stop + "   q quit"
}

// sayer writes the demo's own lines.
type sayer struct{ out io.Writer }

func (s sayer) line(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// control does what is typed until ctx ends or somebody quits. Without anything to read, it waits for ctx.
func control(ctx context.Context, f *fleet.Fleet, in io.Reader, say sayer) {
	if in == nil {
		say.line("Ctrl-C ends everything")
		<-ctx.Done()
		return
	}
	say.line("%s", keyHelp(f))
	typed := lines(in)
	d := desk{fleet: f, say: say}
	for {
		select {
		case <-ctx.Done():
			return
		case line, ok := <-typed:
			switch {
			case !ok:
				typed = nil // nobody types any more
			case d.press(ctx, line):
				return
			}
		}
	}
}

// lines returns what is typed, line by line. A read cannot be called off: the goroutine ends with in.
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

// desk is where the keys are.
type desk struct {
	fleet  *fleet.Fleet
	say    sayer
	killed int // how many instances so far: each time it is another's turn
}

// press does what a key stands for, and reports whether it is the one that quits.
func (d *desk) press(ctx context.Context, key string) (quit bool) {
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	var err error
	switch key {
	case "q":
		return true
	case "r":
		d.say.line("restarting the instances one by one")
		if err = d.fleet.Roll(ctx); err == nil {
			d.say.line("all instances have been restarted")
		}
	case "k":
		instances := d.fleet.Instances()
		in := instances[d.killed%len(instances)]
		d.killed++
		d.say.line("killing %s", in.Name())
		in.Kill()
	case "s":
		err = d.switchRedis(ctx)
	default:
		d.say.line("%s", keyHelp(d.fleet))
	}
	if err != nil {
		d.say.line("that did not work: %v", err)
	}
	return false
}

func (d *desk) switchRedis(ctx context.Context) error {
	if d.fleet.RedisRunning() {
		d.say.line("stopping Redis: visitors are told so; s starts it again")
		return d.fleet.StopRedis(ctx)
	}
	err := d.fleet.StartRedis(ctx)
	if err == nil {
		d.say.line("Redis is back, with its data")
	}
	return err
}
