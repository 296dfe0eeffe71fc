// Package terminal reports what a command may do with its output.
package terminal

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Is reports whether w is a terminal. It also works for os.Stdin, which is a writer too.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// Coloured reports whether output to w may have colours: w must be a terminal that supports them, and NO_COLOR must not be
// set (no-color.org).
func Coloured(w io.Writer, getenv func(string) string) bool {
	return Is(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
