package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// An order tells an agent what to do. It answers each with one answer.
type order struct {
	Do       string // serve, dial, run, usage, memory, large, profile
	Library  string
	Address  string        // dial: of the server
	Conns    int           // dial, memory, large: how many connections
	Callers  int           // dial: how many callers share them; 0: no one calls yet
	Work     string        // dial
	Duration time.Duration // run: for how long; 0: Calls
	Calls    int           // run: how many calls each caller makes
	Path     string        // profile: where to write it; empty: stop
}

type answer struct {
	Error   string
	Address string
	Tally   tally
	Usage   usage
	Memory  memory
}

// A tally is what callers got done.
type tally struct {
	Calls    int
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// An agent is the server or the client of a measurement: a process of its own
// that takes orders, so that its figures are nobody else's.
type agent struct {
	lis     *countingListener
	conns   []conn
	loops   []loop // one for each caller
	calls   int    // made so far, so that arguments differ
	profile *os.File
}

// A loop makes calls, one after the other, until it is told to stop, or a
// number of them. Their arguments begin with first.
type loop func(first, calls int, stop *atomic.Bool) (int, *histogram, error)

// runAgent obeys until there are no more orders.
func runAgent(orders io.Reader, answers io.Writer) error {
	in, out := json.NewDecoder(orders), json.NewEncoder(answers)
	var a agent
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		reply, err := a.obey(o)
		if err != nil {
			reply.Error = fmt.Sprintf("%s %s: %v", o.Do, o.Library, err)
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

func (a *agent) obey(o order) (reply answer, err error) {
	switch o.Do {
	case "serve":
		reply.Address, err = a.serve(o.Library)
	case "dial":
		err = a.dial(o)
	case "run":
		reply.Tally, err = a.run(o)
	case "usage":
		reply.Usage = measureUsage()
	case "memory":
		reply.Memory, err = a.memory(o.Conns)
	case "large":
		err = a.carryLarge(o.Conns)
	case "profile":
		err = a.profileTo(o.Path)
	default:
		err = errors.New("unknown order")
	}
	return reply, err
}

// serve starts the library's server and returns its address.
func (a *agent) serve(name string) (string, error) {
	lib, err := find(name)
	if err != nil {
		return "", err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	a.lis = &countingListener{TCPListener: lis.(*net.TCPListener)}
	go func() { // until the process ends
		err := lib.serve(a.lis)
		fmt.Fprintf(os.Stderr, "%s: the server has ended: %v\n", name, err)
	}()
	return lis.Addr().String(), nil
}

// A countingListener knows how many connections were accepted. It stays a
// TCPListener for libraries that want the file behind it.
type countingListener struct {
	*net.TCPListener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// dialers is how many connections are made at a time: below the backlog of
// the server's listener.
const dialers = 64

// dial makes the connections and shares them among the callers.
func (a *agent) dial(o order) error {
	lib, err := find(o.Library)
	if err != nil {
		return err
	}
	share := (o.Callers + o.Conns - 1) / o.Conns
	a.conns = make([]conn, o.Conns)
	errs := make([]error, o.Conns)
	var wg sync.WaitGroup
	slots := make(chan struct{}, dialers)
	for i := range a.conns {
		slots <- struct{}{}
		wg.Go(func() {
			a.conns[i], errs[i] = lib.dial(o.Address, share)
			<-slots
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return a.share(o)
}

// share has the callers share the connections.
func (a *agent) share(o order) error {
	if _, ok := a.conns[0].(looper); ok && o.Callers > 0 {
		for _, c := range a.conns {
			a.loops = append(a.loops, c.(looper).loop(o.Work))
		}
		return nil
	}
	for i := range o.Callers {
		call, err := task(o.Work, a.conns[i%o.Conns].caller())
		if err != nil {
			return err
		}
		a.loops = append(a.loops, repeat(call))
	}
	return nil
}

// run lets all callers make calls, one after the other each.
func (a *agent) run(o order) (tally, error) {
	var (
		wg      sync.WaitGroup
		stop    atomic.Bool
		mu      sync.Mutex // guards what follows
		total   int
		latency histogram
		failed  error
	)
	start := time.Now()
	for _, loop := range a.loops {
		wg.Go(func() {
			n, h, err := loop(a.calls, o.Calls, &stop)
			mu.Lock()
			defer mu.Unlock()
			total += n
			latency.merge(h)
			if failed == nil && err != nil {
				failed = err
				stop.Store(true)
			}
		})
	}
	if o.Calls == 0 {
		time.AfterFunc(o.Duration, func() { stop.Store(true) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	a.calls += total
	return tally{Calls: total, Elapsed: elapsed, P50: latency.quantile(0.50), P99: latency.quantile(0.99)}, failed
}

// repeat returns the loop of one caller.
func repeat(call func(int) error) loop {
	return func(first, calls int, stop *atomic.Bool) (n int, h *histogram, err error) {
		h = new(histogram)
		last := time.Now()
		for !stop.Load() && (calls == 0 || n < calls) {
			if err := call(first + n); err != nil {
				return n, h, err
			}
			n++
			now := time.Now()
			h.add(now.Sub(last))
			last = now
		}
		return n, h, nil
	}
}

// profileTo starts a CPU profile, or stops it if there is no path.
func (a *agent) profileTo(path string) error {
	if path == "" {
		pprof.StopCPUProfile()
		return a.profile.Close()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	a.profile = file
	return pprof.StartCPUProfile(file)
}
