// Package terminal tells whether a person reads what a command writes.
package terminal

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Is reports whether w is a terminal. For a file one reads from, it is whether a person types.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// Coloured reports whether what is written to w may have colours: on a terminal that knows them, unless NO_COLOR is set
// (no-color.org).
func Coloured(w io.Writer, getenv func(string) string) bool {
	return Is(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
