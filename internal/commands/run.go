package commands

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// run runs the command that args name. An error that comes before the command runs means that the command line is wrong.
func run(ctx context.Context, root *cobra.Command, args []string, out, errOut io.Writer) int {
	running := false
	for _, cmd := range append(root.Commands(), root) {
		work := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			running = true
			return work(cmd, args)
		}
	}
	root.PreRunE = cobra.NoArgs // cobra accepts an empty argument
	var helpErr error
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		_, helpErr = fmt.Fprintf(out, "%s\n\n%s", cmd.Long, cmd.UsageString())
	})
	root.SetHelpCommand(&cobra.Command{
		Use: "help [command]", Short: "show this, or the help of a command", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, _, err := root.Find(args)
			if err != nil {
				return err
			}
			return cmd.Help()
		},
	})
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil && helpErr == nil:
		return 0
	case err == nil:
		_, _ = fmt.Fprintf(errOut, "%s: cannot write the help\n", root.Name())
		return 1
	case running:
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", root.Name(), err)
		return 1
	}
	_, _ = fmt.Fprintf(errOut, "%s: %v\nRun \"%s --help\" for usage.\n", cmd.CommandPath(), err, cmd.CommandPath())
	return 2
}

// versionCommand prints which build this is.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print which build this is",
		Long: "Prints the version of this build and of Go; \"go version -m FILE\" prints all that is known.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), cmd.Root().Name(), cmd.Root().Version)
			return err
		},
	}
}

// version returns the version of this build that the toolchain wrote into the binary, and the version of Go.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version" // built without modules
	}
	return info.Main.Version + ", " + info.GoVersion
}
