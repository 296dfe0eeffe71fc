// Visit Counter counts each visitor's visits in a session kept in Redis, and proves on its own page that the count
// survives restarts, crashes, deployments and being served by any instance.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs the program until ctx ends, and returns nil if it ended as it should.
func run(ctx context.Context, getenv func(string) string, out io.Writer) error {
	return serve(ctx, getenv, out)
}
