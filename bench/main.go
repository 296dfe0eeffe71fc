// Bench measures the app beside other ways to count visits in Gin: the same load for all, in short rounds in turn, so
// that what else the machine does meets all of them. It prints a report in Markdown. See README.md.
package main

import (
	"context"
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
	flag.DurationVar(&p.length, "length", 4*time.Second, "length of one measurement, in whole seconds")
	flag.IntVar(&p.visits, "visits", 2000, "concurrent visits of which none may be lost")
	flag.IntVar(&p.resets, "resets", 200, "resets of which none may be undone")
	flag.IntVar(&p.stored, "stored", 0, "instead, compare our cost in an empty Redis with that beside so many sessions")
	flag.StringVar(&p.old, "old", "", "another build of the app, to be measured too")
	raw := flag.String("raw", "rounds.csv", "file for every single measurement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, p, *raw, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures and prints the report; every single measurement goes to the file raw.
func run(ctx context.Context, p plan, raw string, out io.Writer) (err error) {
	file, err := os.Create(raw)
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	b, err := newBench(ctx, p, file)
	if err != nil {
		return err
	}
	defer b.close()
	if p.stored > 0 {
		return b.compareStored(ctx, out)
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	report(out, b)
	return nil
}
