// Package cli is what the commands of this program have in common: how they are found, how they read their flags,
// and how a mistake on the command line is told.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
)

// Name is what the program is called on a command line.
const Name = "visit-counter"

// The exit statuses of [Program.Run].
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// Func runs a command until it is done or ctx ends. args are the words after the command's name. It reads them with
// [Parse] and returns Parse's errors as they are.
type Func func(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error

// Command is one entry of a [Program].
type Command struct {
	Name  string
	About string // a line for the list of commands
	Run   Func
}

// Program is a set of commands. The first one runs when none is named.
type Program struct {
	About    string // what the help begins with
	Commands []Command
}

// Run runs the command that args name and returns the exit status: 0, 1 when the command failed, or 2 when the
// command line is wrong. What was asked for goes to out, what went wrong to errOut.
func (p Program) Run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	err := p.run(ctx, args, getenv, out)
	var mistake *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return statusOK
	case errors.As(err, &mistake):
		_, _ = fmt.Fprintf(errOut, "%s: %v\nRun \"%s\" for what there is.\n", Name, mistake, mistake.help)
		return statusUsage
	default:
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", Name, err)
		return statusFailed
	}
}

func (p Program) run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	name, rest := p.split(args)
	if name != "help" {
		return p.start(ctx, name, rest, getenv, out)
	}
	switch {
	case len(rest) == 0, isHelp(rest[0]), rest[0] == "help":
		return p.help(out)
	case len(rest) > 1:
		return mistake(Name+" help", "help takes the name of one command")
	}
	return p.start(ctx, rest[0], []string{"--help"}, getenv, out)
}

// split returns the name of the command that args ask for, and the words after it.
func (p Program) split(args []string) (name string, rest []string) {
	switch {
	case len(args) == 0:
		return p.Commands[0].Name, nil
	case isHelp(args[0]):
		return "help", args[1:]
	case args[0] == "-version", args[0] == "--version":
		return "version", args[1:]
	case args[0] != "" && args[0][0] == '-':
		return p.Commands[0].Name, args
	}
	return args[0], args[1:]
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func (p Program) start(ctx context.Context, name string, args []string, getenv func(string) string, out io.Writer) error {
	i := slices.IndexFunc(p.Commands, func(c Command) bool { return c.Name == name })
	if i < 0 {
		return mistake(Name+" help", "unknown command %q%s", name, suggest("", name, p.names()))
	}
	return p.Commands[i].Run(ctx, args, getenv, out)
}

func (p Program) names() []string {
	names := []string{"help"}
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	return names
}

func (p Program) help(out io.Writer) error {
	w := &lines{out: out}
	w.printf("%s\n\nUsage:\n  %s [COMMAND] [FLAGS]\n\nCommands:\n", p.About, Name)
	for _, c := range p.Commands {
		w.printf("  %-10s %s\n", c.Name, c.About)
	}
	w.printf("  %-10s %s\n", "help", "show this, or the help of a command")
	w.printf("\nWithout a command: %s. Settings come from the environment and .env; .env.example explains each.\n", p.Commands[0].Name)
	return w.err
}

// lines prints until the first error.
type lines struct {
	out io.Writer
	err error
}

func (l *lines) printf(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.out, format, args...)
	}
}
