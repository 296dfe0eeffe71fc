//go:build !linux && !darwin

package demo

import (
	"errors"
	"os"
	"os/exec"
)

// canLock reports whether this system can lock files.
const canLock = false

const shared, exclusive = 0, 0

func tryLock(*os.File, int) error { return errors.ErrUnsupported }

func detach(*exec.Cmd) {}
