package cli

import (
	"io"
	"os"
)

// IsTerminal reports whether out is shown to a person. For a file one reads from, it is whether a person types.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device, too
	return err != nil || !os.SameFile(info, null)
}

// Coloured reports whether what is written to out may have colours: on a terminal that knows them, unless NO_COLOR
// is set (no-color.org).
func Coloured(out io.Writer, getenv func(string) string) bool {
	return IsTerminal(out) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
