package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// A process is this program, in another role.
type process struct {
	cmd   *exec.Cmd
	addr  string    // where it listens
	stdin io.Closer // with which it ends, whatever becomes of us
	ended bool
}

// start starts a process and waits until it listens: it says so with its first
// line. What it writes to standard error is seen.
func start(role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	p := &process{cmd: cmd}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("the %s did not start: %w", role, err)
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

// kill ends the process as a power cut would: it gets no chance to say
// anything.
func (p *process) kill() {
	if !p.ended {
		p.ended = true
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// drain asks the process to end, with the signal that service managers and
// containers send, and waits for that. It fails if the process does.
func (p *process) drain() error {
	if p.ended {
		return nil
	}
	p.ended = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.stdin.Close() // where there are no signals
	}
	return p.cmd.Wait()
}

// untilAsked returns a context that ends when this process is asked to end, or
// nobody is there any more who could ask.
func untilAsked() context.Context {
	signal.Ignore(os.Interrupt) // from the keyboard, meant for the caller
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go func() { // ends with the caller or this process; nobody waits
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}
