package commands

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command runs a command line in an empty environment.
func command(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e strings.Builder
	status = Run(t.Context(), args, func(string) string { return "" }, &o, &e)
	return status, o.String(), e.String()
}

func TestEveryCommandExplainsItself(t *testing.T) {
	_, list, _ := command(t, "help")
	for _, name := range []string{"serve", "run", "demo", "prove", "doctor", "version"} {
		if !strings.Contains(list, "\n  "+name+" ") {
			t.Errorf("help does not list %s:\n%s", name, list)
		}
		status, out, errOut := command(t, name, "--help")
		if status != 0 || errOut != "" || !strings.Contains(out, "\nUsage:\n  visit-counter "+name) {
			t.Errorf("%s --help: exit status %d, %q, %q", name, status, out, errOut)
		}
	}
}

// program returns a program whose commands print what they got.
func program() *cobra.Command {
	say := func(text string) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), text)
			return err
		}
	}
	root := &cobra.Command{Use: "visit-counter", Long: "A program.", Version: "v1.2.3", RunE: say("serving"), SilenceErrors: true, SilenceUsage: true}
	var json bool
	var number int
	echo := &cobra.Command{
		Use: "echo", Short: "say it again", Long: "Echoes its flags.", Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if number < 1 {
				return errors.New("--instances must be at least 1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return say(strings.Repeat("echo ", number)+map[bool]string{true: "json"}[json])(cmd, args)
		},
	}
	echo.Flags().BoolVar(&json, "json", false, "print JSON")
	echo.Flags().IntVar(&number, "instances", 4, "how many `N` of them")
	fail := func(*cobra.Command, []string) error { return errors.New("it broke") }
	root.AddCommand(&cobra.Command{Use: "serve", Long: "Serves.", Args: cobra.NoArgs, RunE: say("serving")}, echo,
		&cobra.Command{Use: "fail", Args: cobra.NoArgs, RunE: fail}, &cobra.Command{Use: "version", Args: cobra.NoArgs, RunE: say("v1.2.3")})
	return root
}

func TestCommandLines(t *testing.T) {
	tests := []struct {
		name, args  string
		status      int
		out, errOut string // what they must contain; "" means that they are empty
	}{
		{"no argument serves", "", 0, "serving", ""},
		{"named command", "serve", 0, "serving", ""},
		{"flags", "echo --instances 2 --json", 0, "echo echo json", ""},
		{"a flag with an equals sign", "echo --instances=2", 0, "echo echo", ""},
		{"--help lists every command", "--help", 0, "echo        say it again", ""},
		{"-h", "-h", 0, "Usage:", ""},
		{"help", "help", 0, "Usage:", ""},
		{"help help", "help help", 0, "Usage:", ""},
		{"--version", "--version", 0, "v1.2.3", ""},
		{"help of a command shows flags and defaults", "help echo", 0, "--instances N   how many N of them (default 4)\n", ""},
		{"--help behind a command", "echo --help", 0, "Echoes its flags.", ""},
		{"-h behind other flags", "echo --json -h", 0, "Echoes its flags.", ""},
		{"command without flags", "help serve", 0, "visit-counter serve", ""},
		{"completion", "completion bash", 0, "visit-counter", ""},
		{"failure", "fail", 1, "", "visit-counter: it broke\n"},
		{"unknown command, similar to one", "ehco", 2, "", "unknown command \"ehco\" for \"visit-counter\"\n\nDid you mean this?\n\techo\n"},
		{"unknown command, prefix of one", "vers", 2, "", "Did you mean this?\n\tversion"},
		{"unknown command, similar to none", "xyzzy", 2, "", "unknown command \"xyzzy\" for \"visit-counter\"\nRun"},
		{"help of an unknown command", "help srve", 2, "", "Did you mean this?\n\tserve"},
		{"help of two commands", "help serve echo", 2, "", "at most 1"},
		{"unknown flag", "echo --instnces 3", 2, "", "visit-counter echo: unknown flag: --instnces\n"},
		{"unknown flag of one letter", "echo -v", 2, "", "unknown shorthand flag: 'v' in -v"},
		{"flag without a command", "--port", 2, "", "unknown flag: --port"},
		{"wrong value", "echo --instances many", 2, "", `invalid argument "many" for "--instances" flag`},
		{"value out of range", "echo --instances 0", 2, "", "visit-counter echo: --instances must be at least 1\n"},
		{"superfluous argument", "serve now", 2, "", `unknown command "now" for "visit-counter serve"`},
		{"an error says where the help is", "echo --x", 2, "", `Run "visit-counter echo --help"`},
		{"empty command", " ", 2, "", `unknown command ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			if tt.args == " " {
				args = []string{""}
			}
			var out, errOut strings.Builder
			status := run(t.Context(), program(), args, &out, &errOut)
			if status != tt.status {
				t.Errorf("%q: exit status %d, want %d", tt.args, status, tt.status)
			}
			wantText(t, "stdout", out.String(), tt.out)
			wantText(t, "stderr", errOut.String(), tt.errOut)
			if tt.status == 2 && strings.Count(errOut.String(), "nknown") > 1 {
				t.Errorf("the error is printed more than once: %q", errOut.String())
			}
		})
	}
}

func wantText(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

func TestHelpThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "echo"}, {"echo", "--help"}} {
		var errOut strings.Builder
		if status := run(t.Context(), program(), args, brokenPipe{}, &errOut); status != 1 || errOut.Len() == 0 {
			t.Errorf("%v into a broken pipe: exit status %d, %q; want 1", args, status, errOut.String())
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestVersionNamesTheBuild(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		status, out, _ := command(t, arg)
		if status != 0 || !strings.HasPrefix(out, "visit-counter ") || !strings.Contains(out, ", go1.") {
			t.Errorf("%s: exit status %d, %q", arg, status, out)
		}
	}
}

func TestDoctorReadsWhatServeReads(t *testing.T) {
	env := map[string]string{"DYNO": "web.1", "TRUSTED_PROXIES": "none"}
	var out, errOut strings.Builder
	status := Run(t.Context(), []string{"doctor"}, func(name string) string { return env[name] }, &out, &errOut)
	if status != 1 || !strings.Contains(out.String(), "heroku addons:create") {
		t.Errorf("doctor: exit status %d, %q, %q", status, out.String(), errOut.String())
	}
}
