// Package commands is the program's command line: what one can type after its name.
package commands

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"visit-counter/internal/app"
	"visit-counter/internal/cli"
	"visit-counter/internal/config"
	"visit-counter/internal/demo"
	"visit-counter/internal/doctor"
)

// Main runs the command line of this process and returns its exit status. SIGINT and SIGTERM end the command in order;
// a second one ends the process at once. The end-to-end tests call it too: their binary is then the program.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

// Run runs the command that args name, or serves, and returns the exit status.
func Run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	program := cli.Program{
		About: "Visit Counter counts each visitor's visits in a session kept in Redis.",
		Commands: []cli.Command{
			{Name: "serve", About: "serve one instance", Run: cli.NoFlags("serve", aboutServe, app.Serve)},
			{Name: "run", About: "serve one instance, with the Redis of this machine, which is started if need be", Run: demo.Local{Serve: app.Serve}.Run},
			{Name: "demo", About: "run several instances behind one address, and break them", Run: demo.Run},
			{Name: "prove", About: "prove every promise against such instances, or against a deployed app", Run: demo.Prove},
			{Name: "doctor", About: "look at the Redis that serving would use, and say what to do", Run: doctor.Command{Load: config.Load}.Run},
			{Name: "version", About: "say which build this is", Run: cli.NoFlags("version", aboutVersion, version)},
		},
	}
	return program.Run(ctx, args, getenv, out, errOut)
}

const (
	aboutServe = "Serves one instance of the app on PORT (8080) until SIGTERM or Ctrl-C. Same as no command at all."

	aboutVersion = "Says which build this is: version, commit, Go, and the libraries that matter."
)
