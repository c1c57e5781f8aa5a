// Command cluster shows what callers notice when servers die, leave and come
// back, and when the registry does: next to nothing. Run it with
//
//	go run ./examples/cluster
//
// It starts a registry and three servers, each a process of its own, calls them
// a few thousand times a second, and meanwhile
//
//   - kills a server, as a power cut would, and starts it again elsewhere;
//   - drains one, as a deployment does, and starts the next version;
//   - kills the registry and starts an empty one.
//
// Half of the calls are of a method that is marked idempotent, half of one that
// must not run twice: the servers write down each of its runs. In the end all is
// added up, and the promise is checked:
//
//   - no call that is marked idempotent fails, whatever happens;
//   - no call at all fails when a server is drained or the registry restarts;
//   - no call that is not marked runs twice, ever. When a server is killed,
//     those that it was working on may fail: they may have run, says the error.
//
// The exit code is 0 only if that is what happened.
//
// Each file is a part of a cluster that programs of your own have too:
// registry.go is the registry, server.go a server, caller.go a caller. The
// others are there for the show: process.go starts and ends processes,
// screen.go is what you see meanwhile, and report.go adds up.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"geerpc/xclient"
)

func main() {
	roles := map[string]func(args []string) error{"registry": runRegistry, "server": runServer}
	role, args := runShow, os.Args[1:]
	if len(args) > 0 && roles[args[0]] != nil {
		role, args = roles[args[0]], args[1:]
	}
	if err := role(args); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// A show is a cluster, the load on it, and what happens to it.
type show struct {
	ctx     context.Context // ends the show early
	screen  *screen
	pause   time.Duration // between two events
	verbose bool
	dir     string // where the servers write

	registry  *process
	url       string // of the registry
	discovery *xclient.GeeRegistryDiscovery
	servers   map[string]*process
	started   int // servers, all in all
}

// serverNames are the names of the servers, which survive restarts.
var serverNames = []string{"a", "b", "c"}

// phases are the parts of the show. Each begins with something that happens,
// and has some seconds for its consequences.
var phases = []struct {
	name   string
	happen func(*show) error
}{
	{calm, func(s *show) error { s.screen.event("%s", "calm: all three servers share the calls"); return nil }},
	{kill, (*show).killServer},
	{drain, (*show).drainServer},
	{restart, (*show).restartRegistry},
}

// runShow is the role of whoever is started without one: it is the caller, and
// makes things happen.
func runShow(args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ExitOnError)
	seconds := flags.Float64("seconds", 3, "`time` between two events")
	callers := flags.Int("callers", 64, "how many goroutines call")
	rate := flags.Int("rate", 4000, "calls per second, of all callers together")
	verbose := flags.Bool("v", false, "show what registry and servers log")
	flags.Parse(args)
	if *seconds <= 0 || *callers <= 0 || *rate <= 0 || flags.NArg() > 0 {
		flags.Usage()
		return fmt.Errorf("bad arguments: %q", args)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	dir, err := os.MkdirTemp("", "geerpc-cluster")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &show{
		ctx: ctx, screen: newScreen(os.Stdout), verbose: *verbose, dir: dir,
		pause: time.Duration(*seconds * float64(time.Second)), servers: make(map[string]*process),
	}
	return s.run(*callers, *rate)
}

// prologue is what is said first.
const prologue = `%s
%d callers make %d calls a second in all, half of them marked idempotent.
%s
The code: registry.go is the registry, server.go a server, caller.go a caller; main.go
makes things happen, report.go checks the promise.

`

// run is the show from its beginning to its end.
func (s *show) run(callers, rate int) error {
	defer s.end()
	fmt.Fprintf(s.screen.out, prologue, promised, callers, rate, legend)
	if err := s.begin(); err != nil {
		return err
	}
	defer s.discovery.Close()
	load := startLoad(s.discovery, callers, rate)
	defer load.stop()
	live := s.screen.show(load, rate)
	defer live()
	var r report
	for _, phase := range phases {
		r.begin(phase.name, time.Now())
		if err := s.play(phase.happen); err != nil {
			return err
		}
	}
	r.records = load.stop()
	r.end = time.Now()
	live()
	s.end() // the servers have written what they will
	var err error
	if r.runs, err = readLogs(s.dir); err != nil {
		return err
	}
	fmt.Fprintf(s.screen.out, "\n%s\n", r.table())
	if err := r.promise(); err != nil {
		return err
	}
	fmt.Fprintln(s.screen.out, "The promise was kept.")
	return nil
}

// begin starts the processes, and waits until the caller knows the servers.
func (s *show) begin() (err error) {
	if s.registry, err = start("registry", "-addr", "127.0.0.1:0"); err != nil {
		return err
	}
	s.url = "http://" + s.registry.addr + registryPath
	s.screen.event("registry on %s (have a look with a browser)", s.url)
	s.discovery = xclient.NewGeeRegistryDiscovery(s.url, 0)
	for _, name := range serverNames {
		if err := s.startServer(name); err != nil {
			return err
		}
	}
	return nil
}

// play has something happen and waits until the time for it is over.
func (s *show) play(happen func(*show) error) error {
	over := time.Now().Add(s.pause)
	if err := happen(s); err != nil {
		return err
	}
	return s.sleep(time.Until(over))
}

// end ends all processes that are left. It may be called again.
func (s *show) end() {
	for _, p := range s.servers {
		p.drain()
	}
	if s.registry != nil {
		s.registry.kill()
	}
}

// startServer starts a server, on a port that no server had before, and waits
// until callers are told of it.
func (s *show) startServer(name string) error {
	s.started++
	p, err := start("server", "-name", name, "-registry", s.url,
		"-log", logName(s.dir, s.started), fmt.Sprintf("-v=%v", s.verbose))
	if err != nil {
		return err
	}
	s.servers[name] = p
	begin := time.Now()
	for !s.knows("tcp@" + p.addr) {
		if err := s.sleep(time.Millisecond); err != nil {
			return err
		}
	}
	s.screen.event("server %s serves on %s; the caller knew %d ms later", name, p.addr, time.Since(begin).Milliseconds())
	return nil
}

// knows tells whether the caller has been told of a server.
func (s *show) knows(addr string) bool {
	servers, err := s.discovery.GetAll()
	return err == nil && slices.Contains(servers, addr)
}

// killServer ends a server without a warning. What it was doing is lost; to its
// address nobody answers; in the registry it stays until it has missed three
// heartbeats.
func (s *show) killServer() error {
	s.servers["a"].kill()
	s.screen.event("server a was killed")
	if err := s.sleep(s.pause / 3); err != nil {
		return err
	}
	return s.startServer("a")
}

// drainServer ends a server as it should be: with a signal, and its Shutdown.
func (s *show) drainServer() error {
	s.screen.event("server b is asked to leave")
	begin := time.Now()
	if err := s.servers["b"].drain(); err != nil {
		return fmt.Errorf("server b: %w", err)
	}
	s.screen.event("server b has left, %d ms later, all its calls answered", time.Since(begin).Milliseconds())
	if err := s.sleep(s.pause / 3); err != nil {
		return err
	}
	return s.startServer("b")
}

// restartRegistry has the registry away for a while. The new one on the same
// address knows nobody, until the servers' next heartbeats.
func (s *show) restartRegistry() (err error) {
	s.registry.kill()
	s.screen.event("the registry was killed")
	if err = s.sleep(s.pause / 3); err != nil {
		return err
	}
	if s.registry, err = start("registry", "-addr", s.registry.addr); err != nil {
		return err
	}
	s.screen.event("there is a registry again, an empty one")
	return nil
}

// sleep fails if the show is ended meanwhile.
func (s *show) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}
