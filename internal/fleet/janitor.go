package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"visit-counter/internal/child"
)

// JanitorCommand is the argument with which a program that uses this package must call [Janitor].
const JanitorCommand = "clean-up-after-parent"

const (
	cleanTime  = 10 * time.Second // most time for what is left behind
	cleanEvery = 50 * time.Millisecond

	// What a janitor is told, followed by the number of a process.
	started = "started"
	ended   = "ended"
)

// Janitor is what a fleet leaves behind to clean up after a process that was killed: it makes a temporary directory,
// writes its path to out, and reads from in until nobody holds the other end any more. Then it ends the processes
// that it was told of and removes the directory.
//
// The janitor is a process of its own, for a process that is killed can do nothing any more, and it makes the directory
// itself, so that there is no moment at which nobody would remove it.
func Janitor(in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "visit-counter-demo-")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	orphans := make(map[int]bool)
	for {
		var verb string
		var pid int
		if _, err := fmt.Fscanln(in, &verb, &pid); err != nil {
			break // the end, however it came
		}
		orphans[pid] = verb == started
	}
	for pid, alive := range orphans {
		if alive {
			child.KillOrphan(pid)
		}
	}
	return removeAll(dir)
}

// removeAll removes a directory into which a process that is just ending may still write.
func removeAll(dir string) (err error) {
	for end := time.Now().Add(cleanTime); time.Now().Before(end); time.Sleep(cleanEvery) {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}

// janitor is the parent's end of a [Janitor] process.
type janitor struct {
	cmd *exec.Cmd
	dir string

	mu sync.Mutex
	in io.WriteCloser
}

// startJanitor starts the program itself as a janitor.
func startJanitor() (*janitor, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	j := &janitor{cmd: exec.Command(program, "demo", JanitorCommand)}
	child.Apart(j.cmd)
	if j.in, err = j.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := j.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the process that cleans up: %w", err), j.close())
	}
	j.dir = strings.TrimSuffix(line, "\n")
	return j, nil
}

// makeDir makes an empty directory of that name, which ends with the fleet.
func (j *janitor) makeDir(name string) (string, error) {
	dir := filepath.Join(j.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// tell lets the janitor know that a process has started, which it must end if this one cannot do it any more, or that
// it has ended. It never fails: without a janitor the fleet still runs.
func (j *janitor) tell(verb string, pid int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = fmt.Fprintln(j.in, verb, pid)
}

// close removes the directory and lets the janitor go.
func (j *janitor) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.in.Close() // its end is the sign
	_ = j.cmd.Wait() // whatever has become of it, the directory goes
	return removeAll(j.dir)
}
