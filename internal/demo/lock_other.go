//go:build !linux && !darwin

package demo

import (
	"errors"
	"os"
	"os/exec"
)

// canLock is true where files can be locked.
const canLock = false

const shared, exclusive = 0, 0

func tryLock(*os.File, int) error { return errors.ErrUnsupported }

func detach(*exec.Cmd) {}
