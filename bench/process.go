package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// process is a running program under test.
type process struct {
	cmd   *exec.Cmd
	url   string
	first time.Duration // from its start to its first 200
}

// launch starts a program on a free port, discards its standard output, and waits for its first 200 answer to GET /.
func launch(ctx context.Context, dir, bin string, args, env []string) (*process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, bin, args...), url: "http://127.0.0.1:" + port + "/"}
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PORT=" + port, "PATH=" + os.Getenv("PATH")}, env...)
	var stderr bytes.Buffer
	p.cmd.Stderr = &stderr
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitOK(ctx, p.url); err != nil {
		p.end()
		return nil, fmt.Errorf("%s %s: %w\n%s", bin, strings.Join(args, " "), err, stderr.String())
	}
	p.first = time.Since(start)
	return p, nil
}

// end kills the program and waits until it is gone.
func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may be gone already
	_ = p.cmd.Wait()         // its error says that it was killed
}

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// awaitOK requests the page until the answer is 200, for at most ten seconds.
func awaitOK(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for {
		if _, err := get(ctx, http.DefaultClient, url, ""); err == nil {
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer 200", url)
		}
	}
}

// cpuTime returns the processor time that all threads of a process have used, in user mode and in the kernel.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := procStat(pid)
	return time.Duration(stat.CPUTime() * float64(time.Second)), err
}

// residentBytes returns the resident memory of a process.
func residentBytes(pid int) (int, error) {
	stat, err := procStat(pid)
	return stat.ResidentMemory(), err
}

func procStat(pid int) (procfs.ProcStat, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("the benchmark needs Linux: %w", err)
	}
	return process.Stat()
}
