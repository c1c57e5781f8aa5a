package storm

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/xclient"
)

const framedJSON codec.Type = "storm/framed-json"

// ownCodec is one as programs have them that were written for GeeRPC.
const ownCodec codec.Type = "storm/own"

func init() {
	gob.Register("")
	codec.Register(framedJSON, codec.Framed(json.Marshal, json.Unmarshal))
	codec.Register(ownCodec, newOwn)
}

var codecs = []codec.Type{codec.GobType, codec.JsonType, framedJSON, ownCodec}

// An own codec knows nothing of this library's layouts.
type own struct {
	io.Closer
	in  *json.Decoder
	out *bufio.Writer
	enc *json.Encoder
}

func newOwn(conn io.ReadWriteCloser) codec.Codec {
	c := &own{Closer: conn, in: json.NewDecoder(conn), out: bufio.NewWriter(conn)}
	c.enc = json.NewEncoder(c.out)
	return c
}

func (c *own) ReadHeader(h *codec.Header) error { return c.in.Decode(h) }

func (c *own) ReadBody(body any) error {
	if body == nil {
		body = new(json.RawMessage)
	}
	return c.in.Decode(body)
}

func (c *own) Write(h *codec.Header, body any) error {
	return errors.Join(c.enc.Encode(h), c.enc.Encode(body), c.out.Flush())
}

// A caller makes calls on connections that it makes.
type caller struct {
	stages []*stage
	old    *oldServer
	config *tls.Config // for TLS
	ledger *ledger
}

// run goes on until ctx ends.
func (c *caller) run(ctx context.Context) {
	for ctx.Err() == nil {
		s := c.stages[rand.IntN(len(c.stages))]
		switch rand.IntN(10) {
		case 0:
			c.oldClient(s)
		case 1:
			c.oldServer(ctx)
		case 2:
			c.xclient(ctx)
		default:
			c.client(ctx, s)
		}
	}
}

// protocol is how XDial names a transport.
func protocol(s *stage, p *proxy) string { return s.transport + "@" + p.lis.Addr().String() }

func (c *caller) option() *geerpc.Option {
	opt := &geerpc.Option{
		CodecType:      codecs[rand.IntN(len(codecs))],
		ConnectTimeout: time.Duration(100+rand.IntN(3000)) * time.Millisecond,
		Legacy:         rand.IntN(4) == 0,
		PingInterval:   time.Duration(rand.IntN(2)) * 500 * time.Millisecond,
	}
	if rand.IntN(4) == 0 {
		opt.HandleTimeout = time.Duration(1+rand.IntN(200)) * time.Millisecond
	}
	if rand.IntN(4) == 0 {
		opt.Interceptors = []geerpc.Interceptor{pass}
	}
	return opt
}

// client makes calls on one connection.
func (c *caller) client(ctx context.Context, s *stage) {
	p, lax := s.calm, false
	if rand.IntN(8) == 0 {
		p, lax = s.wild, s.transport != "tls"
	}
	opt := c.option()
	if s.transport == "tls" {
		opt.TLSConfig = c.config
	}
	begun := time.Now()
	client, err := geerpc.XDial(protocol(s, p), opt)
	if took := time.Since(begun); took > opt.ConnectTimeout+patience {
		c.ledger.fault("hung", fmt.Sprintf("Dial took %v", took))
	}
	if err != nil {
		return
	}
	c.crowd(ctx, client, fmt.Sprintf("%s over %s, legacy %v", opt.CodecType, s.transport, opt.Legacy), lax)
}

// crowd makes calls, many at a time, and leaves the client.
func (c *caller) crowd(ctx context.Context, client *geerpc.Client, what string, lax bool) {
	var wg sync.WaitGroup
	for range 1 + rand.IntN(16) {
		wg.Go(func() {
			for range 1 + rand.IntN(20) {
				if client.IsAvailable() && ctx.Err() == nil {
					c.call(ctx, client, what, lax)
				}
			}
		})
	}
	if rand.IntN(4) > 0 {
		wg.Wait()
	}
	c.leave(client)
	wg.Wait()
}

// leave ends a client in one of the ways there are.
func (c *caller) leave(client *geerpc.Client) {
	begun := time.Now()
	if rand.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(300))*time.Millisecond)
		defer cancel()
		client.Shutdown(ctx)
	} else {
		client.Close()
	}
	if took := time.Since(begun); took > patience {
		c.ledger.fault("hung", fmt.Sprintf("the end of a client took %v", took))
	}
}

// size returns the size of a parcel: small as a rule, and some megabytes now
// and then.
func size() int {
	switch rand.IntN(100) {
	case 0:
		return rand.IntN(3 << 20)
	case 1, 2, 3:
		return rand.IntN(200 << 10)
	}
	return rand.IntN(1 << (3 + rand.IntN(9)))
}

// call makes one call, under a context that ends in one of several ways.
func (c *caller) call(ctx context.Context, client geerpc.Caller, what string, lax bool) {
	task := tasks[rand.IntN(len(tasks))]
	what = task + ", " + what
	id := c.ledger.begin(what, lax)
	args, reply := newParcel(id, task, size()), new(Parcel)
	args.For = time.Duration(rand.IntN(50)) * time.Millisecond
	args.Sum = args.sum()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch rand.IntN(8) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(20_000))*time.Microsecond)
		defer cancel()
	case 1:
		timer := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	err := c.make(ctx, client, args, reply, what, lax)
	c.ledger.end(id, outcomeOf(err), err)
	if err == nil && !lax {
		c.check(what, args, reply)
	}
}

// make calls one of the methods, in one of the ways.
func (c *caller) make(ctx context.Context, client geerpc.Caller, args, reply *Parcel, what string, lax bool) error {
	method := "Depot.Handle"
	if args.Task == taskEcho && rand.IntN(2) == 0 {
		method = "Depot.Quick"
	}
	if one, ok := client.(*geerpc.Client); ok && rand.IntN(4) == 0 {
		return c.wait(one, one.Go(method, args, reply, make(chan *geerpc.Call, 1)), what, lax)
	}
	begun := time.Now()
	err := client.Call(ctx, method, args, reply)
	if took := time.Since(begun); took > 5*time.Second+patience {
		c.ledger.fault("hung", fmt.Sprintf("Call took %v: %s: %v", took, what, err))
	}
	return err
}

// wait waits for a call by Go. Its message or its reply may have been swallowed
// where bits have been flipped: then it ends with its client.
func (c *caller) wait(client *geerpc.Client, call *geerpc.Call, what string, lax bool) error {
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(patience): // instead of hanging
	}
	if lax {
		client.Close()
		select {
		case <-call.Done:
			return call.Error
		case <-time.After(patience): // instead of hanging
		}
	}
	c.ledger.fault("hung", fmt.Sprintf("a call by Go has no end: %s, flipped %v, available %v", what, lax, client.IsAvailable()))
	return errors.New("no end")
}

// check looks at a reply. Those of tasks that fail must not come.
func (c *caller) check(what string, args, reply *Parcel) {
	fails := args.Task == taskFail || args.Task == taskPanic || args.Task == taskExit
	if fails || !reply.whole() || reply.ID != args.ID || reply.Sum != args.Sum {
		c.ledger.wrong(fmt.Sprintf("%s: call %d of sum %x has the reply of %d, sum %x", what, args.ID, args.Sum, reply.ID, reply.Sum))
	}
}

// xclient makes calls by an XClient that knows the stages.
func (c *caller) xclient(ctx context.Context) {
	var servers []string
	for _, s := range c.stages {
		if s.transport != "tls" { // its certificate is for another name
			servers = append(servers, protocol(s, s.calm))
		}
	}
	opt := c.option()
	client := xclient.NewXClient(xclient.NewMultiServerDiscovery(servers), xclient.RandomSelect, opt)
	defer client.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				c.call(ctx, client, "by an XClient", false)
			}
		})
	}
	wg.Wait()
}
