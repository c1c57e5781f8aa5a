package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A process is this program's command server, in a process of its own.
type process struct {
	cmd             *exec.Cmd
	log             *logbook
	addr, operators string
	exited          chan struct{} // closed when it has
}

// startServer starts a server, which is killed when ctx ends, and waits until it serves.
func startServer(ctx context.Context, dir, token string, args ...string) (*process, error) {
	cmd, err := command(ctx, token, append([]string{"server", "-dir", dir}, args...)...)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: newLogbook(), exited: make(chan struct{})}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process; exited tells
		cmd.Wait() // what became of it is in cmd.ProcessState
		p.log.end()
		close(p.exited)
	}()
	serving, err := p.log.find(ctx, "msg", "serving")
	if err != nil {
		return nil, fmt.Errorf("the server does not serve: %w", err)
	}
	p.addr, p.operators = serving.text("addr"), serving.text("operators")
	return p, nil
}

// command returns a command of this program.
func command(ctx context.Context, token string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "TOKEN="+token)
	return cmd, nil
}

// exitCode waits for the end of the process. It is -1 if a signal ended it.
func (p *process) exitCode(ctx context.Context) (int, error) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("the server does not exit: %w", ctx.Err())
	}
}

// get returns a page of the operators'.
func (p *process) get(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.operators+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return string(body), err
}

// metric returns the sum of a metric's samples that have all these labels.
func (p *process) metric(ctx context.Context, name string, labels ...string) (sum float64, err error) {
	page, err := p.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
next:
	for sample := range strings.Lines(page) {
		if !strings.HasPrefix(sample, name+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(sample, label) {
				continue next
			}
		}
		_, number, _ := strings.Cut(strings.TrimSpace(sample), "} ")
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

// until asks again and again, until the answer is yes.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: it never happens", what)
		}
	}
}
