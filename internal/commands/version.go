package commands

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version returns the version of this build in a word.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// printBuild prints what the toolchain has noted in the binary.
func printBuild(cmd *cobra.Command, _ []string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary was built without module support and does not know its version")
	}
	_, err := io.WriteString(cmd.OutOrStdout(), describe(info))
	return err
}

// describe returns one fact a line. What was built outside a checkout, or by go run, has no commit.
func describe(info *debug.BuildInfo) string {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	var b strings.Builder
	fmt.Fprintf(&b, "visit-counter %s\n", info.Main.Version)
	if commit := setting["vcs.revision"]; commit != "" {
		if setting["vcs.modified"] == "true" {
			commit += ", with changes that are not committed"
		}
		fmt.Fprintf(&b, "commit    %s\ndate      %s\n", commit, setting["vcs.time"])
	}
	fmt.Fprintf(&b, "go        %s %s/%s\n", info.GoVersion, setting["GOOS"], setting["GOARCH"])
	libraries := map[string]string{"github.com/gin-gonic/gin": "gin", "github.com/redis/go-redis/v9": "go-redis"}
	for _, dep := range info.Deps {
		if name := libraries[dep.Path]; name != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, dep.Version)
		}
	}
	return b.String()
}
