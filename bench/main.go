// Bench compares the app with other ways to count visits in Gin: the same load for all, in short interleaved rounds, so
// that other work on the machine affects all of them alike. It prints a report in Markdown. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// serveCommand makes this binary run as one of the programs under test.
const serveCommand = "serve"

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2]))
	}
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds of each row")
	flag.DurationVar(&p.length, "length", 4*time.Second, "length of one measurement")
	flag.IntVar(&p.visits, "visits", 2000, "concurrent visits, none of which may be lost")
	flag.IntVar(&p.resets, "resets", 200, "resets, none of which may be undone")
	flag.IntVar(&p.stored, "stored", 0, "instead, compare the app's cost with an empty Redis and with that many sessions in it")
	flag.StringVar(&p.old, "old", "", "another build of the app to measure as well")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, p, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures and prints the report.
func run(ctx context.Context, p plan, out io.Writer) error {
	b, err := newBench(ctx, p)
	if err != nil {
		return err
	}
	if p.stored > 0 {
		err = b.compareStored(ctx, out)
	} else if err = b.measure(ctx); err == nil {
		report(out, b)
	}
	return errors.Join(err, b.close())
}
