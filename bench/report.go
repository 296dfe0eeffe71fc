package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report prints the results as Markdown.
func report(w io.Writer, b *bench) {
	_, _ = fmt.Fprintf(w, "%s, %s, %d CPUs; %d interleaved rounds of %v; %d sessions per row.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), b.plan.rounds, b.plan.length,
		sessionsPerRow)
	for _, conns := range []int{manyConns, oneConn} {
		_, _ = fmt.Fprintf(w, "### %d connections\n\n", conns)
		b.speeds(w, conns)
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprint(w, "### Independent of speed\n\n")
	b.counts(w)
	_, _ = fmt.Fprintf(w, "\nThe visit-counter binary has %.1f MB.\n", float64(b.binary)/1e6)
}

func (b *bench) speeds(w io.Writer, conns int) {
	line(w, "program", "req/s", "p50 µs", "p99 µs", "app CPU µs", "Redis CPU µs",
		"CPU ÷ limit", "req/s ÷ limit", "p50 ÷ limit", "Redis CPU ÷ limit", "CPU ÷ redigo", "req/s ÷ redigo", "p50 ÷ redigo")
	line(w, slices.Concat([]string{"---"}, slices.Repeat([]string{"--:"}, 12))...)
	limit, redigo := b.find(limitRow).rounds[conns], b.find(redigoRow).rounds[conns]
	for _, r := range b.rows {
		own := r.rounds[conns]
		line(w, r.name, rounded(median(own, rate)), rounded(median(own, p50)), rounded(median(own, p99)), tenths(median(own, appCPU)),
			tenths(median(own, redisCPU)), ratio(own, limit, appCPU), ratio(own, limit, rate), ratio(own, limit, p50),
			ratio(own, limit, redisCPU), ratio(own, redigo, appCPU), ratio(own, redigo, rate), ratio(own, redigo, p50))
	}
}

func (b *bench) counts(w io.Writer) {
	line(w, "program", "requests failed", "commands to Redis per visit", fmt.Sprintf("lost of %d", b.plan.visits),
		fmt.Sprintf("back after a reset, of %d", b.plan.resets), "resident MB after the load", "start to first 200, ms")
	line(w, slices.Concat([]string{"---"}, slices.Repeat([]string{"--:"}, 6))...)
	for _, r := range b.rows {
		commands, lost, back := strconv.Itoa(r.commands), strconv.FormatInt(r.lost, 10), strconv.FormatInt(r.back, 10)
		if r.store == "" {
			commands, lost, back = "0", "–", "–"
		}
		line(w, r.name, strconv.Itoa(r.failed()), commands, lost, back, tenths(float64(r.resident)/1e6), rounded(r.process.first.Seconds()*1000))
	}
}

func (b *bench) find(name string) *row {
	return b.rows[slices.IndexFunc(b.rows, func(r *row) bool { return r.name == name })]
}

// line prints a line of a Markdown table.
func line(w io.Writer, cells ...string) {
	_, _ = fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// The values of a round, as numbers.
func rate(r round) float64     { return float64(r.requests) / r.took.Seconds() }
func p50(r round) float64      { return float64(r.p50.Microseconds()) }
func p99(r round) float64      { return float64(r.p99.Microseconds()) }
func appCPU(r round) float64   { return float64(r.app.Nanoseconds()) / 1000 }
func redisCPU(r round) float64 { return float64(r.redis.Nanoseconds()) / 1000 }

func median(rounds []round, value func(round) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return middle(values)
}

// ratio is the median of the ratios in each round. A disturbance in a round affects both values.
func ratio(rounds, base []round, value func(round) float64) string {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r) / value(base[i])
	}
	return strconv.FormatFloat(middle(values), 'f', 2, 64)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func rounded(v float64) string { return strconv.FormatFloat(math.Round(v), 'f', 0, 64) }
func tenths(v float64) string  { return strconv.FormatFloat(v, 'f', 1, 64) }
