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

// launch starts a program on a free port, its output thrown away as a platform's log collector would take it, and
// waits for its first 200 answer to GET /.
func launch(ctx context.Context, dir, bin string, args, env []string) (*process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, bin, args...), url: "http://127.0.0.1:" + port + "/"}
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PORT=" + port, "PATH=" + os.Getenv("PATH")}, env...)
	var complaints bytes.Buffer
	p.cmd.Stderr = &complaints
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitOK(ctx, p.url); err != nil {
		p.end()
		return nil, fmt.Errorf("%s %s: %w\n%s", bin, strings.Join(args, " "), err, complaints.String())
	}
	p.first = time.Since(start)
	return p, nil
}

// end kills the program and waits until it is gone.
func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may be gone already
	_ = p.cmd.Wait()         // "killed" is no news
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

// awaitOK asks until the answer is 200, for ten seconds at most.
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

// cpuTime returns how much processor time a process has used, in the kernel and outside, with all its threads.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := procStat(pid)
	return time.Duration(stat.CPUTime() * float64(time.Second)), err
}

// residentBytes returns how much memory a process has resident.
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
