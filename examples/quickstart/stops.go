package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"geerpc"
	"geerpc/codec"
)

// short is the time limit of calls that are going to miss it: long enough for
// a busy machine to begin them.
const short = 200 * time.Millisecond

// transports makes the same call over every transport and codec.
func (t *tour) transports() error {
	t.say("", "%-5s %-5s %-5s", "gob", "json", "xml (made by codec.Framed)")
	for _, p := range t.places {
		var products [3]int
		for i, c := range []codec.Type{codec.GobType, codec.JsonType, xmlType} {
			client, err := p.dial(t.ctx, geerpc.Option{CodecType: c})
			if err != nil {
				return err
			}
			err = client.Call(t.ctx, "Arith.Multiply", Args{6, 7}, &products[i])
			client.Close()
			if err != nil {
				return fmt.Errorf("over %s with %s: %w", p.name, c, err)
			}
		}
		if products != [3]int{42, 42, 42} {
			return fmt.Errorf("over %s 6 x 7 is %d", p.name, products)
		}
		t.say(p.name, "%-5d %-5d %-5d", products[0], products[1], products[2])
	}
	return nil
}

// async has several calls under way on one connection.
func (t *tour) async() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	const n = 100
	done := make(chan *geerpc.Call, n) // the calls report here when they are done
	for i := range n {
		client.Go("Arith.Multiply", Args{i, i}, new(int), done)
	}
	sum := 0
	for range n {
		call := <-done
		if call.Error != nil {
			return call.Error
		}
		sum += *call.Reply.(*int)
	}
	if sum != 328350 {
		return fmt.Errorf("the sum of the squares is %d, want 328350", sum)
	}
	t.say("100 calls at once", "on one connection: the squares of 0 to 99 add up to %d", sum)
	return nil
}

// contexts shows the three ways in which a call may run out of time.
func (t *tour) contexts() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := t.deadline(client); err != nil {
		return err
	}
	if err := t.cancellation(client); err != nil {
		return err
	}
	return t.handleTimeout()
}

// deadline lets a context end by itself. The server hears how long it has.
func (t *tour) deadline(client *geerpc.Client) error {
	ctx, cancel := context.WithTimeout(t.ctx, short)
	defer cancel()
	err := client.Call(ctx, "Desk.Wait", "", nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("after the deadline the error is %v", err)
	}
	t.say("a deadline", "caller: %v", err)
	noticed, err := receive(t.ctx, t.desk.noticed)
	if err != nil {
		return fmt.Errorf("the method was not told: %w", err)
	}
	t.say("", "method: its context ended too: %v", noticed)
	_, err = receive(t.ctx, t.desk.started)
	return err
}

// cancellation cancels a context while the method runs.
func (t *tour) cancellation(client *geerpc.Client) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	go func() { // ends when the method has begun
		receive(t.ctx, t.desk.started)
		cancel()
	}()
	err := client.Call(ctx, "Desk.Wait", "", nil)
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("after a cancellation the error is %v", err)
	}
	noticed, lost := receive(t.ctx, t.desk.noticed)
	if lost != nil || noticed != context.Canceled {
		return fmt.Errorf("after a cancellation the method saw %v, %v", noticed, lost)
	}
	t.say("a cancellation", "caller: %v", err)
	t.say("", "method: its context ended too: %v", noticed)
	return nil
}

// handleTimeout has the server answer in time for a method that does not.
func (t *tour) handleTimeout() error {
	client, err := t.places[0].dial(t.ctx, geerpc.Option{HandleTimeout: short})
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.Call(t.ctx, "Desk.Finish", "this", new(string))
	if _, err := receive(t.ctx, t.desk.started); err != nil {
		return fmt.Errorf("the method never began: %w", err)
	}
	t.desk.release <- struct{}{}
	if geerpc.CodeOf(err) != geerpc.CodeDeadlineExceeded {
		return fmt.Errorf("after the handle timeout the error is %v", err)
	}
	t.say("a handle timeout", "server: %v", err)
	return nil
}

// errors fails in four places.
func (t *tour) errors() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	ended, cancel := context.WithCancel(t.ctx)
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		method string
		args   any
		want   geerpc.Error
	}{
		{t.ctx, "Arith.Divide", Args{1, 0}, geerpc.Error{Code: geerpc.CodeInvalidArgument, Where: geerpc.InMethod, Ran: geerpc.RanYes}},
		{t.ctx, "Arith.Sqrt", Args{}, geerpc.Error{Code: geerpc.CodeNotFound, Where: geerpc.InServer, Ran: geerpc.RanNever}},
		{t.ctx, "Arith.Divide", "a string", geerpc.Error{Code: geerpc.CodeInvalidArgument, Where: geerpc.InServer, Ran: geerpc.RanNever}},
		{ended, "Arith.Divide", Args{1, 1}, geerpc.Error{Code: geerpc.CodeCanceled, Where: geerpc.InClient, Ran: geerpc.RanNever}},
	} {
		var e *geerpc.Error
		err := client.Call(c.ctx, c.method, c.args, new(int))
		if !errors.As(err, &e) || e.Code != c.want.Code || e.Where != c.want.Where || e.Ran != c.want.Ran {
			return fmt.Errorf("%s(%v): the error is %#v", c.method, c.args, err)
		}
		t.say(fmt.Sprintf("%s(%v)", c.method, c.args), "%v, %v, ran: %v", e.Code, e.Where, e.Ran)
	}
	return nil
}

// panics calls a method that panics, and then another one.
func (t *tour) panics() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.Call(t.ctx, "Arith.Crash", Args{}, nil)
	if geerpc.CodeOf(err) != geerpc.CodeInternal {
		return fmt.Errorf("after a panic the error is %v", err)
	}
	t.say("Arith.Crash", "%v", err)
	var product int
	if err := client.Call(t.ctx, "Arith.Multiply", Args{2, 3}, &product); err != nil || product != 6 {
		return fmt.Errorf("after a panic 2 x 3 is %d, %v", product, err)
	}
	t.say("Arith.Multiply", "on the same connection, right after: 2 x 3 is %d", product)
	return nil
}

// callUpper is the client's half of upper. A wrong type would not compile.
var callUpper = geerpc.Method[string, string]("Text.Upper")

// typed calls a function that is registered with its types.
func (t *tour) typed() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	text, err := callUpper(t.ctx, client, "hello")
	if err != nil || text != "HELLO" {
		return fmt.Errorf("the reply is %q, %v", text, err)
	}
	t.say(`"hello"`, "%q", text)
	return nil
}

// metadata sends something beside the arguments, both ways.
func (t *tour) metadata() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	back := geerpc.Metadata{}
	ctx := geerpc.WithMetadata(t.ctx, geerpc.Metadata{"user": "gee"})
	ctx = geerpc.WithReplyMetadata(ctx, back)
	var reply string
	if err := client.Call(ctx, "Desk.Greet", "Hello", &reply); err != nil {
		return err
	}
	if reply != "Hello, gee from tcp" || back["served-by"] != "desk 1" {
		return fmt.Errorf("the reply is %q with %v", reply, back)
	}
	t.say("with the call", "user=gee: %q", reply)
	t.say("with the reply", "served-by=%s", back["served-by"])
	return nil
}

// interceptors shows what the server's has counted so far, and one of a client.
func (t *tour) interceptors() error {
	mine := newCounter()
	client, err := t.places[0].dial(t.ctx, geerpc.Option{Interceptors: []geerpc.Interceptor{mine.intercept}})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Call(t.ctx, "Arith.Multiply", Args{1, 1}, new(int)); err != nil {
		return err
	}
	if mine.of("Arith.Multiply") != 1 || t.count.of("Arith.Multiply") != 117 || t.count.of(geerpc.UnknownMethod) != 1 {
		return fmt.Errorf("counted %v in the client, %v in the server", mine.calls, t.count.calls)
	}
	t.say("in this client", "%d call of Arith.Multiply", mine.of("Arith.Multiply"))
	t.say("in the server", "%d calls of Arith.Multiply, %d of a method that does not exist",
		t.count.of("Arith.Multiply"), t.count.of(geerpc.UnknownMethod))
	return nil
}

// shutdown ends the server while a call is under way.
func (t *tour) shutdown() error {
	client, err := t.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	call := client.Go("Desk.Finish", "the last call", new(string), nil)
	if _, err := receive(t.ctx, t.desk.started); err != nil {
		return fmt.Errorf("the method never began: %w", err)
	}
	down := make(chan error, 1)
	go func() { down <- t.server.Shutdown(t.ctx) }() // ends when the last call is answered
	for client.IsAvailable() && t.ctx.Err() == nil { // until the server has said goodbye
		time.Sleep(time.Millisecond)
	}
	err = client.Call(t.ctx, "Arith.Multiply", Args{1, 1}, new(int))
	var e *geerpc.Error
	if !errors.As(err, &e) || e.Code != geerpc.CodeUnavailable || e.Ran != geerpc.RanNever {
		return fmt.Errorf("a call during shutdown: %v", err)
	}
	t.say("a new call", "%v, %v, ran: %v: the server has said goodbye", e.Code, e.Where, e.Ran)
	t.desk.release <- struct{}{}
	if <-call.Done; call.Error != nil {
		return call.Error
	}
	t.say("the call under way", "%s", *call.Reply.(*string))
	if err := <-down; err != nil {
		return err
	}
	t.say("Shutdown", "returned: all answered, all connections closed")
	return nil
}

// receive receives from c, or fails when ctx ends.
func receive[T any](ctx context.Context, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return v, err
}
