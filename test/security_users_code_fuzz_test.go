package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
)

// What the calls of FuzzUsersCode have, by the bubble's clock.
const (
	userConnectTimeout = time.Second
	userCallTimeout    = 2 * time.Second
	userShutdown       = time.Second
	closeGrace         = time.Second            // that Close documents
	logGrace           = 250 * time.Millisecond // that Option.Logger documents
)

// A setup is how a program uses the library.
type setup struct {
	codec    codec.Type
	tls      bool
	legacy   bool
	ordered  bool
	limited  bool // each call has a handle timeout
	shutdown bool // or else Close
	clients  int
	calls    int
	done     byte // what becomes of Done channels
}

func newSetup(a, b byte) setup {
	types := []codec.Type{codec.GobType, codec.JsonType, userPlain, userExtended, userFramed}
	return setup{codec: types[int(a&7)%len(types)], tls: a>>3&7 == 7, legacy: a>>6&3 == 3,
		ordered: b&3 == 3, limited: b>>2&1 == 1, shutdown: b>>3&1 == 1,
		clients: 1 + int(b>>4&1), calls: 1 + int(b>>5&1)*3, done: b >> 6}
}

// FuzzUsersCode has a program plug code of its own into a server and its
// clients that panics, ends its goroutine, blocks, dawdles, fails or returns
// nothing. Whatever it does, the process goes on, nothing takes longer than is
// documented, what an error says of whether the method ran is true, and no
// goroutine is left once what blocked has been let go.
//
// The first two bytes of the input are how the library is used, and each two
// that follow a place and its flaw.
func FuzzUsersCode(f *testing.F) {
	for where := range places { // each with each flaw, and of codecs and settings one or another
		for what := range flaws {
			use := byte(where)*7 + byte(what)
			f.Add([]byte{use % 5, use * 37, byte(where), byte(what) | use&1<<5})
		}
		f.Add([]byte{7 << 3, 1 << 3, byte(where), byte(where) % byte(flaws)}) // over TLS
		f.Add([]byte{0, 1 << 3, byte(where), byte(blocks) | 1<<5})            // whenever it is visited, through a Shutdown
	}
	cert, _ := certificate(f, "localhost", time.Hour)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 || len(data) > 16 {
			return
		}
		// A deadlock in the bubble fails the test; what spins, or holds a
		// mutex for ever, would go on until the go command loses patience.
		watchdog := time.AfterFunc(30*time.Second, func() {
			buf := make([]byte, 1<<20)
			panic(fmt.Sprintf("input %v hangs:\n%s", data, buf[:runtime.Stack(buf, true)]))
		})
		defer watchdog.Stop()
		synctest.Test(t, func(t *testing.T) { newProgram(t, data[2:]).run(newSetup(data[0], data[1]), cert) })
	})
}

// run is the program: it serves, calls and ends.
func (p *program) run(s setup, cert tls.Certificate) {
	pipe := geerpc.NewPipeListener()
	defer pipe.Close() // should Serve not have come to it
	server := p.server(s)
	forServer, forClient := p.tlsConfigs(cert)
	var lis net.Listener = userListener{PipeListener: pipe, p: p}
	if s.tls {
		lis = tls.NewListener(lis, forServer)
		p.spareTLS()
	} else {
		forClient = nil
	}
	p.start("Serve", func() { server.Serve(lis) })
	for i := range s.clients {
		p.start("client", func() { p.client(s, pipe, forClient, 1+100*i) })
	}
	<-time.After(10 * time.Second)
	p.start("the server's end", func() { p.stop(server, s.shutdown) })
	<-time.After(5 * time.Second)
	p.finish(time.Minute)
	server.Close()
	<-time.After(time.Hour) // what dawdles comes to its end, a log of many lines too; time stops with us
}

func (p *program) server(s setup) *geerpc.Server {
	server := &geerpc.Server{Logger: p.logger(atServerLog), Ordered: s.ordered}
	if p.flawed(atServerInterceptorMade, atServerInterceptor, atServerInterceptorEnd) {
		server.Interceptors = []geerpc.Interceptor{p.interceptor(atServerInterceptorMade)}
	}
	if s.limited {
		server.HandleTimeout = userCallTimeout / 2
	}
	server.OnShutdown(func(context.Context) { p.at(atHook, nil) })
	server.OnShutdown(func(context.Context) {})
	if err := server.Register(Warehouse{}); err != nil {
		p.t.Error(err)
	}
	return server
}

// stop ends the server, in good time whatever the program's code does.
func (p *program) stop(server *geerpc.Server, shutdown bool) {
	start := time.Now()
	if !shutdown {
		server.Close()
		p.within("Server.Close", start, closeGrace+logGrace)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), userShutdown)
	defer cancel()
	server.Shutdown(ctx)
	p.within("Server.Shutdown", start, userShutdown+closeGrace+logGrace)
}

// client dials, makes its calls and leaves.
func (p *program) client(s setup, pipe *geerpc.PipeListener, config *tls.Config, first int) {
	opt := &geerpc.Option{CodecType: s.codec, Legacy: s.legacy, ConnectTimeout: userConnectTimeout,
		TLSConfig: config, Logger: p.logger(atClientLog),
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			switch p.at(atDial, nil) {
			case fails:
				return nil, errBroken
			case returnsNothing:
				return nil, nil
			}
			conn, err := pipe.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return newUserConn(p, conn, atClientRead), nil
		}}
	if p.flawed(atClientInterceptorMade, atClientInterceptor, atClientInterceptorEnd) {
		opt.Interceptors = []geerpc.Interceptor{p.interceptor(atClientInterceptorMade)}
	}
	start := time.Now()
	client, err := geerpc.Dial("pipe", "", opt)
	p.within("Dial", start, userConnectTimeout+closeGrace)
	switch {
	case err != nil:
		return
	case client == nil:
		p.t.Error("Dial returned neither a Client nor an error")
		return
	}
	defer client.Close()
	for i := range s.calls {
		p.start("Call", func() { p.call(client, first+2*i) })
		p.start("Go", func() { p.async(client, first+2*i+1, s.done) })
	}
	<-time.After(2 * userCallTimeout)
	p.leave(client, s.shutdown)
}

// leave ends the client, in good time whatever the program's code does.
func (p *program) leave(client *geerpc.Client, shutdown bool) {
	start := time.Now()
	if !shutdown {
		client.Close()
		p.within("Client.Close", start, closeGrace+logGrace)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), userShutdown)
	defer cancel()
	client.Shutdown(ctx)
	p.within("Client.Shutdown", start, userShutdown+closeGrace+logGrace)
}

// onCaller are the places that are visited on a caller's goroutine, or have it
// wait. (A call waits for its own arguments and its own reply.)
var onCaller = []place{atEncodeArgs, atDecodeReply, atClientInterceptor, atClientInterceptorEnd, atWrite, atReadBody, atClientDeadline,
	atClientConnClose, atCodecReady, atReadHeader}

// call makes a call and checks what comes of it.
func (p *program) call(client *geerpc.Client, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), userCallTimeout)
	defer cancel()
	var reply Goods
	start := time.Now()
	err := client.Call(ctx, "Warehouse.Store", Cargo{n}, &reply)
	if !p.delayed(onCaller...) {
		p.within("Call", start, userCallTimeout)
	}
	p.judge(n, reply.N, err)
}

// async is call for Go. Its Done channel is made by Go, unbuffered, or closed.
func (p *program) async(client *geerpc.Client, n int, kind byte) {
	var done chan *geerpc.Call
	switch kind {
	case 2:
		done = make(chan *geerpc.Call)
	case 3:
		done = make(chan *geerpc.Call)
		close(done)
	}
	reply := new(Goods)
	call := client.Go("Warehouse.Fetch", &Cargo{n}, reply, done)
	if kind == 3 {
		return // nobody can wait for it
	}
	select {
	case <-call.Done:
		p.judge(n, reply.N, call.Error)
	case <-time.After(30 * time.Second):
		if !p.delayed(onCaller...) && kind != 2 { // a Client that is closed sends no more
			p.t.Errorf("the call %d by Go did not end", n)
		}
	}
}

// judge checks the end of a call against what the method has seen.
func (p *program) judge(n, reply int, err error) {
	p.mu.Lock()
	ran := p.ran[n]
	p.mu.Unlock()
	var typed *geerpc.Error
	switch {
	case ran > 1:
		p.t.Errorf("call %d ran %d times", n, ran)
	case err == nil && reply != n && !p.flawed(atEncodeArgs, atDecodeArgs, atEncodeReply, atDecodeReply, atServerInterceptor, atClientInterceptor, atServerInterceptorMade, atClientInterceptorMade):
		p.t.Errorf("the reply to %d is %d", n, reply)
	case !errors.As(err, &typed):
	case typed.Ran == geerpc.RanNever && ran > 0:
		p.t.Errorf("call %d ran, and its error says that it never did: %v", n, err)
	case typed.Ran == geerpc.RanYes && ran == 0 && !p.flawed(atEncodeArgs, atDecodeArgs, atServerInterceptor): // which may have answered in its place
		p.t.Errorf("call %d never ran, and its error says that it did: %v", n, err)
	}
}
