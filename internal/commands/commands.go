// Package commands implements the program's command line.
package commands

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"visit-counter/internal/app"
	"visit-counter/internal/demo"
	"visit-counter/internal/doctor"
)

// Main runs the command line of this process and returns its exit status. SIGINT and SIGTERM end the command cleanly;
// a second one ends the process at once. Test binaries that act as the program call Main, too.
func Main() int {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before cancel: with signal.NotifyContext, a second signal can come too early and get lost
		cancel()
	}()
	return Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// Run runs the command that args name, or serve if they name none, and returns the exit status: 0, 1 if the command failed,
// or 2 if the command line is wrong. Output goes to out, an error to errOut.
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
			Use: "serve", Short: "serve one instance (the default)",
			Long: "Serves one instance of the app on PORT (8080) until SIGTERM or Ctrl-C. This is also what happens without a command.",
			Args: cobra.NoArgs, RunE: serve,
		},
		demo.Run(getenv, app.Serve),
		demo.Demo(getenv),
		demo.Prove(getenv),
		doctor.Command(getenv),
		versionCommand(),
	)
	return run(ctx, root, args, out, errOut)
}
