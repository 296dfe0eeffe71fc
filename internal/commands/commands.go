// Package commands is the program's command line: what one can type after its name.
package commands

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"visit-counter/internal/app"
	"visit-counter/internal/demo"
	"visit-counter/internal/doctor"
)

// The exit statuses of [Run].
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// Main runs the command line of this process and returns its exit status. SIGINT and SIGTERM end the command in order;
// a second one ends the process at once. The end-to-end tests call it too: their binary is then the program.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// Run runs the command that args name, or serves, and returns the exit status: 0, 1 when the command failed, or 2 when
// the command line is wrong. What was asked for goes to out, what went wrong to errOut, once.
func Run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	serve := func(cmd *cobra.Command, _ []string) error { return app.Serve(cmd.Context(), getenv, cmd.OutOrStdout()) }
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "visit-counter",
		Short: "Visit Counter counts each visitor's visits in a session kept in Redis.",
		Long: "Visit Counter counts each visitor's visits in a session kept in Redis. Without a command it serves.\n" +
			"Settings come from the environment and .env; .env.example explains each.",
		Version:       version(),
		RunE:          serve,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		&cobra.Command{
			Use: "serve", Short: "serve one instance (what is done without a command)",
			Long: "Serves one instance of the app on PORT (8080) until SIGTERM or Ctrl-C. Same as no command at all.",
			Args: cobra.NoArgs, RunE: serve,
		},
		demo.Run(getenv, app.Serve),
		demo.Demo(getenv),
		demo.Prove(getenv),
		doctor.Command(getenv),
		&cobra.Command{
			Use: "version", Short: "say which build this is",
			Long: "Says which build this is: version, commit, Go, and the libraries that matter.",
			Args: cobra.NoArgs, RunE: printBuild,
		},
	)
	return run(ctx, root, args, out, errOut)
}

// run runs the command that args name. What fails before the command itself runs is a mistake on the command line.
func run(ctx context.Context, root *cobra.Command, args []string, out, errOut io.Writer) int {
	running := false
	var note func(*cobra.Command)
	note = func(cmd *cobra.Command) {
		work := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			running = true
			return work(cmd, args)
		}
		for _, sub := range cmd.Commands() {
			note(sub)
		}
	}
	note(root)
	root.PreRunE = cobra.NoArgs // a word that is empty gets so far
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
		return statusOK
	case err == nil:
		_, _ = fmt.Fprintf(errOut, "%s: the help cannot be written\n", root.Name())
		return statusFailed
	case running:
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", root.Name(), err)
		return statusFailed
	}
	_, _ = fmt.Fprintf(errOut, "%s: %v\nRun \"%s --help\" for what there is.\n", cmd.CommandPath(), err, cmd.CommandPath())
	return statusUsage
}
