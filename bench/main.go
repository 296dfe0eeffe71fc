// Bench measures the app beside other ways to count visits in Gin: the same load for all, in short rounds in turn, so
// that what else the machine does meets all of them. It prints a report in Markdown. See README.md.
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

// serveCommand makes this binary one of the programs under test instead.
const serveCommand = "serve"

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2]))
	}
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds of each row")
	flag.DurationVar(&p.length, "length", 4*time.Second, "length of one measurement")
	flag.IntVar(&p.visits, "visits", 2000, "concurrent visits of which none may be lost")
	flag.IntVar(&p.resets, "resets", 200, "resets of which none may be undone")
	flag.IntVar(&p.stored, "stored", 0, "instead, compare our cost in an empty Redis with that beside so many sessions")
	flag.StringVar(&p.old, "old", "", "another build of the app, to be measured too")
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
