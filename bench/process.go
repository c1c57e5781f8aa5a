package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// agentVariable is the environment variable that makes this program an agent.
const agentVariable = "GEERPC_BENCH_AGENT"

// isAgent tells whether this process was started by start.
func isAgent() bool { return os.Getenv(agentVariable) != "" }

// beAgent obeys the process that has started this one. Answers go over a pipe
// of their own: some libraries print to standard output.
func beAgent() error {
	return runAgent(os.Stdin, os.NewFile(3, "answers"))
}

// A process is an agent that we have started.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	in    *json.Encoder
	out   *json.Decoder
	pipe  *os.File
}

// start runs this program again, as an agent.
func start() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), agentVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	return &process{cmd: cmd, stdin: stdin, in: json.NewEncoder(stdin), out: json.NewDecoder(ours), pipe: ours}, nil
}

// patience is how long an agent may take beyond what it was told to take.
const patience = time.Minute

// do has an order carried out. An agent that hangs is killed.
func (p *process) do(o order) (answer, error) {
	timer := time.AfterFunc(o.Duration+patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	if err := p.in.Encode(o); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", o.Do, o.Library, err)
	}
	var a answer
	if err := p.out.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%s %s: the process gave no answer: %w", o.Do, o.Library, err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// end ends the process. Killing it is fine: nothing it has is kept.
func (p *process) end() {
	p.stdin.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.pipe.Close()
}

// A pair is a server and a client of one library, connected.
type pair struct {
	server, client *process
	address        string // of the server
}

// startPair starts both and has the client dial.
func startPair(dial order) (p pair, err error) {
	defer func() {
		if err != nil {
			p.end()
		}
	}()
	if p.server, err = start(); err != nil {
		return p, err
	}
	if p.client, err = start(); err != nil {
		return p, err
	}
	served, err := p.server.do(order{Do: "serve", Library: dial.Library})
	if err != nil {
		return p, err
	}
	p.address = served.Address
	dial.Do, dial.Address = "dial", p.address
	_, err = p.client.do(dial)
	return p, err
}

func (p pair) end() {
	for _, proc := range []*process{p.client, p.server} {
		if proc != nil {
			proc.end()
		}
	}
}
