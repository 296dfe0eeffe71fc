package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// usageError is a mistake on the command line.
type usageError struct {
	text string
	help string // the command that explains it
}

func (e *usageError) Error() string { return e.text }

func mistake(help, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), help: help}
}

// Flags returns an empty set of flags for the command of that name, for [Parse].
func Flags(command string) *flag.FlagSet { return flag.NewFlagSet(command, flag.ContinueOnError) }

// Parse reads args, which hold flags and nothing else. For -h and --help it prints about and the flags to out and
// returns [flag.ErrHelp]. An unknown flag, a value that does not fit and a superfluous word are errors that
// [Program.Run] tells with a suggestion and exit status 2.
func Parse(flags *flag.FlagSet, about string, args []string, out io.Writer) error {
	flags.SetOutput(io.Discard) // the messages are ours
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return cmp.Or(usage(flags, about, out), flag.ErrHelp)
	case err != nil:
		return mistake(helpOf(flags), "%s: %s", flags.Name(), explain(flags, err))
	case flags.NArg() > 0:
		return mistake(helpOf(flags), "%s: unexpected argument %q", flags.Name(), flags.Arg(0))
	}
	return nil
}

// Mistake returns an error about the flags of a command, for what Parse cannot know, such as two that contradict
// each other: exit status 2.
func Mistake(flags *flag.FlagSet, format string, args ...any) error {
	return mistake(helpOf(flags), "%s: %s", flags.Name(), fmt.Sprintf(format, args...))
}

// NoFlags returns a Func for a command that takes no flags.
func NoFlags(command, about string, run func(ctx context.Context, getenv func(string) string, out io.Writer) error) Func {
	return func(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
		if err := Parse(Flags(command), about, args, out); err != nil {
			return err
		}
		return run(ctx, getenv, out)
	}
}

func helpOf(flags *flag.FlagSet) string { return Name + " help " + flags.Name() }

// explain says in our words what package flag only says in text.
func explain(flags *flag.FlagSet, err error) string {
	text := err.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return "unknown flag " + dashed(name) + suggest("--", name, names)
	}
	return strings.Replace(text, "flag -", "flag --", 1)
}

// dashed is how people type a flag; package flag does not say how this one was typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func usage(flags *flag.FlagSet, about string, out io.Writer) error {
	var list [][2]string
	width := 0
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			text += " (default " + f.DefValue + ")"
		}
		name := strings.TrimSpace("--" + f.Name + " " + value)
		list = append(list, [2]string{name, text})
		width = max(width, len(name))
	})
	w := &lines{out: out}
	synopsis := Name + " " + flags.Name()
	if len(list) > 0 {
		synopsis += " [FLAGS]"
	}
	w.printf("Usage:\n  %s\n\n%s\n", synopsis, about)
	for i, f := range list {
		if i == 0 {
			w.printf("\nFlags:\n")
		}
		w.printf("  %-*s  %s\n", width, f[0], f[1])
	}
	return w.err
}
