package test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A place is where code that a program brings along is called.
type place byte

const (
	atAccept place = iota
	atListenerClose
	atListenerAddr
	atServerRead
	atServerWrite
	atServerConnClose
	atServerConnAddr
	atServerDeadline
	atServerLog
	atHook
	atServerInterceptorMade
	atServerInterceptor
	atServerInterceptorEnd
	atMethod
	atMethodError
	atServerTLS
	atCodecMade
	atCodecExtend
	atCodecReady
	atReadHeader
	atReadBody
	atWrite
	atCodecClose
	atEncodeArgs
	atDecodeArgs
	atEncodeReply
	atDecodeReply
	atDial
	atClientTLS
	atClientRead
	atClientWrite
	atClientConnClose
	atClientConnAddr
	atClientDeadline
	atClientLog
	atClientInterceptorMade
	atClientInterceptor
	atClientInterceptorEnd
	places
)

// A flaw is what such code does in place of its work.
type flaw byte

const (
	panics flaw = iota
	panicsOddly
	exits
	blocks  // until the program ends
	dawdles // for longer than a call may take
	fails
	returnsNothing
	flaws

	none // does its work
)

// A trouble is a flaw that shows at a visit of its place, and from then on if
// it lasts.
type trouble struct {
	flaw  flaw
	visit int
	lasts bool
}

// A program is what plugs code of its own into a server and into clients.
type program struct {
	t        *testing.T
	troubles map[place]trouble
	ended    chan struct{} // closed: what blocks goes on
	roomy    bool          // connections take what is written at once

	mu      sync.Mutex // guards what follows
	visits  map[place]int
	ran     map[int]int    // how often a method ran, by the number in its argument
	running map[string]int // what has been started and not ended

	left atomic.Int64 // of running
	idle chan struct{}
}

// theProgram is the one that runs: codecs and values are made without a word
// of where they belong.
var theProgram atomic.Pointer[program]

// newProgram makes the program whose troubles data describe: two bytes each.
func newProgram(t *testing.T, data []byte) *program {
	p := &program{t: t, troubles: make(map[place]trouble), ended: make(chan struct{}), visits: make(map[place]int),
		ran: make(map[int]int), running: make(map[string]int), idle: make(chan struct{}, 1)}
	for ; len(data) > 1; data = data[2:] {
		what := data[1]
		p.troubles[place(data[0])%places] = trouble{flaw(what) & 7 % flaws, int(what >> 3 & 3), what>>5&1 == 1}
	}
	theProgram.Store(p)
	return p
}

// A broken is what is panicked with, so that other panics stand out.
type broken struct{ odd bool }

// String panics, if the panic is an odd one: who logs it asks for it.
func (b broken) String() string {
	if b.odd {
		panic("a panic in String")
	}
	return "code of the program's"
}

// errBroken is what code returns that fails. Accept takes it for passing.
var errBroken error = brokenError{}

type brokenError struct{}

func (brokenError) Error() string   { return "failed" }
func (brokenError) Temporary() bool { return true }

// at is called wherever the program's code is. It returns what is left to the
// caller to do: to fail, to return nothing, or none. Code that blocks or dawdles
// goes on when the program ends, or until is closed.
func (p *program) at(where place, until <-chan struct{}) flaw {
	switch f := p.flawAt(where); f {
	case panics, panicsOddly:
		panic(broken{f == panicsOddly})
	case exits:
		runtime.Goexit()
	case blocks:
		select {
		case <-p.ended:
		case <-until:
		}
	case dawdles:
		select {
		case <-time.After(3 * time.Second):
		case <-until:
		}
	case fails, returnsNothing:
		return f
	}
	return none
}

func (p *program) flawAt(where place) flaw {
	p.mu.Lock()
	defer p.mu.Unlock()
	visit := p.visits[where]
	p.visits[where]++
	trouble, ok := p.troubles[where]
	// It is visited in a sync.Once: others would wait for that, and time in the
	// bubble for them.
	delayed := where == atServerInterceptorMade && (trouble.flaw == blocks || trouble.flaw == dawdles)
	if !ok || delayed || visit < trouble.visit || visit > trouble.visit && !trouble.lasts {
		return none
	}
	return trouble.flaw
}

// spareTLS takes out what crypto/tls does not outlive: it makes a connection of
// what Accept returns, even if that is nothing, goes on reading one that returns
// nothing for ever, and closes one on a goroutine of its own, which must not
// panic. Nor may anything wait for a connection: crypto/tls holds a mutex
// meanwhile, for which time in the bubble would wait. (The peer of one from which
// a write is missing complains, and that is such a wait.)
func (p *program) spareTLS() {
	p.roomy = true
	for where, t := range p.troubles {
		switch where {
		case atAccept:
			t.lasts = t.lasts && t.flaw != returnsNothing
		case atServerRead, atClientRead:
			t.lasts = t.lasts && t.flaw != returnsNothing
			t.flaw = t.flaw.unless(blocks, dawdles)
		case atServerWrite, atClientWrite:
			t.lasts = true
			t.flaw = t.flaw.unless(blocks, dawdles)
		case atServerDeadline, atClientDeadline:
			t.flaw = t.flaw.unless(blocks, dawdles)
		case atServerConnClose, atClientConnClose:
			t.flaw = t.flaw.unless(blocks, dawdles, panics, panicsOddly, exits)
		}
		p.troubles[where] = t
	}
}

// unless is f, or fails if f is one of those that are not to be.
func (f flaw) unless(not ...flaw) flaw {
	if slices.Contains(not, f) {
		return fails
	}
	return f
}

// errorAt is at for code that returns an error alone.
func (p *program) errorAt(where place) error {
	if p.at(where, nil) == fails {
		return errBroken
	}
	return nil
}

// delayed tells whether code at one of these places blocks or dawdles.
func (p *program) delayed(where ...place) bool {
	for _, at := range where {
		if f := p.troubles[at]; f.flaw == blocks || f.flaw == dawdles {
			return true
		}
	}
	return false
}

// flawed tells whether code at one of these places has any flaw.
func (p *program) flawed(where ...place) bool {
	for _, at := range where {
		if _, ok := p.troubles[at]; ok {
			return true
		}
	}
	return false
}

// start runs f on a goroutine that code of the program may end, or panic on.
// Any other panic fails the test.
func (p *program) start(name string, f func()) {
	p.note(name, 1)
	go func() { // ends with f; finish waits
		defer p.note(name, -1)
		defer func() {
			v := recover()
			if _, ours := v.(broken); v != nil && !ours {
				buf := make([]byte, 64<<10)
				p.t.Errorf("%s panicked: %v\n%s", name, v, buf[:runtime.Stack(buf, false)])
			}
		}()
		f()
	}()
}

func (p *program) note(name string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[name] += n
	if p.left.Add(int64(n)) == 0 {
		select {
		case p.idle <- struct{}{}:
		default:
		}
	}
}

// finish ends the program: what has blocked goes on, and all that was started
// has to end within limit.
func (p *program) finish(limit time.Duration) {
	close(p.ended)
	late := time.After(limit)
	for p.left.Load() > 0 {
		select {
		case <-p.idle:
		case <-late:
			p.mu.Lock()
			defer p.mu.Unlock()
			for name, n := range p.running {
				if n > 0 {
					p.t.Errorf("%d × %s: still running %v after all that blocked was let go", n, name, limit)
				}
			}
			return
		}
	}
}

// within fails the test if what began at start has taken longer than limit.
func (p *program) within(name string, start time.Time, limit time.Duration) {
	if took := time.Since(start); took > limit {
		p.t.Errorf("%s took %v, allowed are %v", name, took, limit)
	}
}

// A Cargo is an argument that encodes itself, and Goods are a reply that does.
type (
	Cargo struct{ N int }
	Goods struct{ N int }
)

func encode(where place, n int) ([]byte, error) {
	switch theProgram.Load().at(where, nil) {
	case fails:
		return nil, errBroken
	case returnsNothing:
		return nil, nil
	}
	return fmt.Appendf(nil, "%d", n), nil
}

func decode(where place, data []byte, n *int) error {
	switch theProgram.Load().at(where, nil) {
	case fails:
		return errBroken
	case returnsNothing:
		return nil
	}
	_, err := fmt.Sscanf(string(data), "%d", n)
	return err
}

// GobEncode, GobDecode, MarshalJSON and UnmarshalJSON are what codecs ask of them.
func (c Cargo) GobEncode() ([]byte, error)       { return encode(atEncodeArgs, c.N) }
func (c *Cargo) GobDecode(data []byte) error     { return decode(atDecodeArgs, data, &c.N) }
func (c Cargo) MarshalJSON() ([]byte, error)     { return encode(atEncodeArgs, c.N) }
func (c *Cargo) UnmarshalJSON(data []byte) error { return decode(atDecodeArgs, data, &c.N) }
func (g *Goods) GobEncode() ([]byte, error)      { return encode(atEncodeReply, g.N) }
func (g *Goods) GobDecode(data []byte) error     { return decode(atDecodeReply, data, &g.N) }
func (g *Goods) MarshalJSON() ([]byte, error)    { return encode(atEncodeReply, g.N) }
func (g *Goods) UnmarshalJSON(data []byte) error { return decode(atDecodeReply, data, &g.N) }

// A Warehouse is the service.
type Warehouse struct{}

// Store and Fetch answer with what they are given. One takes a context, the
// other a pointer.
func (Warehouse) Store(ctx context.Context, args Cargo, reply *Goods) error {
	return handle(args.N, reply)
}
func (Warehouse) Fetch(args *Cargo, reply *Goods) error { return handle(args.N, reply) }

func handle(n int, reply *Goods) error {
	p := theProgram.Load()
	p.mu.Lock()
	p.ran[n]++
	p.mu.Unlock()
	reply.N = n
	if p.at(atMethod, nil) == fails {
		return methodError{}
	}
	return nil
}

// A methodError is an error that has code of its own.
type methodError struct{}

func (methodError) Error() string {
	theProgram.Load().at(atMethodError, nil)
	return "the warehouse is full"
}
