package templates_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestTheEnvironmentCannotReplaceThePages(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPagesMatchTheirGoldenFiles$", "-test.v",
		fmt.Sprintf("-update=%t", *update))
	cmd.Env = append(os.Environ(), "TEMPL_DEV_MODE=true", "TEMPL_DEV_MODE_ROOT="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("with TEMPL_DEV_MODE=true: %v\n%s", err, out)
	}
}
