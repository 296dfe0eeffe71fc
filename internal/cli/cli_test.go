package cli_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"visit-counter/internal/cli"
)

// program returns a program whose commands say what they were given.
func program() cli.Program {
	echo := func(ctx context.Context, args []string, _ func(string) string, out io.Writer) error {
		flags := cli.Flags("echo")
		json := flags.Bool("json", false, "print JSON")
		number := flags.Int("instances", 4, "how many `N` of them")
		if err := cli.Parse(flags, "Echoes its flags.", args, out); err != nil {
			return err
		}
		if *number < 1 {
			return cli.Mistake(flags, "--instances must be at least 1")
		}
		_, err := io.WriteString(out, strings.Repeat("echo ", *number)+map[bool]string{true: "json"}[*json])
		return err
	}
	serve := func(_ context.Context, _ func(string) string, out io.Writer) error {
		_, err := io.WriteString(out, "serving")
		return err
	}
	fail := func(context.Context, func(string) string, io.Writer) error { return errors.New("it broke") }
	return cli.Program{About: "A program.", Commands: []cli.Command{
		{Name: "serve", About: "serve one", Run: cli.NoFlags("serve", "Serves.", serve)},
		{Name: "echo", About: "say it again", Run: echo},
		{Name: "fail", About: "fail", Run: cli.NoFlags("fail", "Fails.", fail)},
		{Name: "version", About: "which one", Run: cli.NoFlags("version", "Says which.", serve)},
	}}
}

func TestCommandLinesDoWhatUsersOfGoToolsExpect(t *testing.T) {
	tests := []struct {
		name, args  string
		status      int
		out, errOut string // what must be in them; "" means empty
	}{
		{"no argument serves", "", 0, "serving", ""},
		{"named command", "serve", 0, "serving", ""},
		{"flags", "echo --instances 2 -json", 0, "echo echo json", ""},
		{"--help lists every command", "--help", 0, "echo       say it again", ""},
		{"-h", "-h", 0, "Usage:", ""},
		{"help", "help", 0, "Usage:", ""},
		{"help help", "help help", 0, "Commands:", ""},
		{"--version", "--version", 0, "serving", ""},
		{"help of a command shows flags and defaults", "help echo", 0, "--instances N  how many N of them (default 4)\n", ""},
		{"--help behind a command", "echo --help", 0, "Echoes its flags.", ""},
		{"-h behind other flags", "echo --json -h", 0, "Echoes its flags.", ""},
		{"command without flags", "help serve", 0, "visit-counter serve\n", ""},
		{"failure", "fail", 1, "", "visit-counter: it broke\n"},
		{"unknown command, similar to one", "ehco", 2, "", `unknown command "ehco", did you mean echo?`},
		{"unknown command, start of one", "vers", 2, "", "did you mean version?"},
		{"unknown command, similar to none", "xyzzy", 2, "", "unknown command \"xyzzy\"\n"},
		{"help of an unknown command", "help srve", 2, "", "did you mean serve?"},
		{"help of two", "help serve echo", 2, "", "one command"},
		{"unknown flag, similar to one", "echo --instnces 3", 2, "", "echo: unknown flag --instnces, did you mean --instances?"},
		{"unknown flag of one letter", "echo -v", 2, "", "echo: unknown flag -v\n"},
		{"unknown flag, similar to none", "echo --port=1", 2, "", "echo: unknown flag --port\n"},
		{"flag without a command", "--port", 2, "", "serve: unknown flag --port"},
		{"wrong value", "echo --instances many", 2, "", `invalid value "many" for flag --instances`},
		{"value out of range", "echo --instances 0", 2, "", "echo: --instances must be at least 1"},
		{"superfluous word", "serve now", 2, "", `serve: unexpected argument "now"`},
		{"mistakes say where the help is", "echo --x", 2, "", `Run "visit-counter help echo"`},
		{"empty command", " ", 2, "", `unknown command ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			if tt.args == " " {
				args = []string{""}
			}
			var out, errOut strings.Builder
			status := program().Run(t.Context(), args, func(string) string { return "" }, &out, &errOut)
			if status != tt.status {
				t.Errorf("%q: exit status %d, want %d", tt.args, status, tt.status)
			}
			wantText(t, "stdout", out.String(), tt.out)
			wantText(t, "stderr", errOut.String(), tt.errOut)
		})
	}
}

func wantText(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

func TestHelpThatCannotBeWrittenIsAFailure(t *testing.T) {
	var errOut strings.Builder
	for _, args := range [][]string{{"help"}, {"help", "echo"}} {
		if status := program().Run(t.Context(), args, nil, brokenPipe{}, &errOut); status != 1 {
			t.Errorf("%v into a broken pipe: exit status %d, want 1", args, status)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	device, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0) // a new terminal
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tests := []struct {
		name     string
		out      io.Writer
		variable string
		want     bool
	}{
		{"terminal", device, "", true},
		{"terminal with NO_COLOR", device, "NO_COLOR=1", false},
		{"terminal that knows no colours", device, "TERM=dumb", false},
		{"null device", null, "", false},
		{"file", file, "", false},
		{"anything else", new(strings.Builder), "", false},
	}
	for _, tt := range tests {
		getenv := func(name string) string {
			set, value, _ := strings.Cut(tt.variable, "=")
			return map[string]string{set: value}[name]
		}
		if got := cli.Coloured(tt.out, getenv); got != tt.want {
			t.Errorf("%s: coloured is %t, want %t", tt.name, got, tt.want)
		}
	}
}
