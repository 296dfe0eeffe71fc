// Visit Counter counts each visitor's visits in a session kept in Redis, and proves on its own page that the count
// survives restarts, crashes, deployments and being served by any instance.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"visit-counter/internal/cli"
	"visit-counter/internal/demo"
	"visit-counter/internal/doctor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run runs the command that args name, or serves, and returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	program := cli.Program{
		About: "Visit Counter counts each visitor's visits in a session kept in Redis.",
		Commands: []cli.Command{
			{Name: "serve", About: "serve one instance", Run: cli.NoFlags("serve", aboutServe, serve)},
			{Name: "demo", About: "run several instances behind one address, and break them", Run: demo.Run},
			{Name: "prove", About: "prove every promise against such instances, or against a deployed app", Run: demo.Prove},
			{Name: "doctor", About: "look at the Redis that serving would use, and say what to do", Run: doctor.Command{Load: loadConfig}.Run},
			{Name: "version", About: "say which build this is", Run: cli.NoFlags("version", aboutVersion, version)},
		},
	}
	return program.Run(ctx, args, getenv, out, errOut)
}

const (
	aboutServe = "Serves one instance of the app on PORT (8080) until SIGTERM or Ctrl-C. Same as no command at all."

	aboutVersion = "Says which build this is: version, commit, Go, and the libraries that matter."
)
