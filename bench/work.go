package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
)

// The work that every library does: add two numbers, and echo some bytes.
// Libraries that need types of their own (protobuf, thrift) have equal ones
// under internal.
type (
	// Args are the arguments of "small".
	Args struct{ A, B int }

	// Reply is the reply of "small".
	Reply struct{ C int }

	// Bytes is both, of the echoes: "1KiB", "64KiB" and "1MiB".
	Bytes struct{ Data []byte }
)

// Work is the service, for all libraries that take methods of this form.
type Work struct{}

// Add adds.
func (Work) Add(args Args, reply *Reply) error {
	reply.C = args.A + args.B
	return nil
}

// Echo returns what it was given.
func (Work) Echo(args Bytes, reply *Bytes) error {
	reply.Data = args.Data
	return nil
}

// Place returns the order that it was given.
func (Work) Place(args Order, reply *Order) error {
	*reply = args
	return nil
}

// A library is one way to have the work done.
type library struct {
	name string
	note string // serializer and settings, for the report

	// serve answers calls until the process ends or the listener is closed.
	serve func(lis net.Listener) error

	// dial makes one connection, which that many callers will share.
	dial func(addr string, callers int) (conn, error)

	only []string // the works that it does; nil: all that its callers do

	writesUncounted bool // it sends with another system call than write
}

// does reports whether the library does a work.
func (l library) does(work string) bool { return l.only == nil || slices.Contains(l.only, work) }

// A conn is one connection of a client.
type conn interface {
	// caller returns what one goroutine needs to make calls. It may hold
	// arguments and replies that are used again, so that the allocations that
	// are counted are the library's.
	caller() caller

	Close() error
}

// A caller makes calls, one after the other.
type caller interface {
	add(a, b int) (int, error)
	echo(data []byte) ([]byte, error)
}

// A timedCaller makes calls that have to be done in time.
type timedCaller interface {
	addInTime(a, b int) (int, error)
}

// An orderCaller has an order echoed, in the types of its library, and checks it. The
// nth order has n as its number.
type orderCaller interface {
	order(n int) error
}

// The names of the works.
const (
	small  = "small"
	timed  = "small+deadline"
	kibi   = "1KiB"
	kibi64 = "64KiB"
	mebi   = "1MiB"
	orders = "order"
)

// works are all, with the callers whose calls are measured unless a flag says others.
var works = []struct{ name, callers string }{
	{small, "1,16,128,1024,128x4"},
	{timed, "1,16,128"},
	{kibi, "1,16,128,1024,128x4"},
	{orders, "1,16,128"},
	{kibi64, "1,16"},
	{mebi, "4"},
}

// workNames returns the names of all.
func workNames() (names []string) {
	for _, w := range works {
		names = append(names, w.name)
	}
	return names
}

// payloads are the bytes that are echoed.
var payloads = map[string]int{kibi: 1 << 10, kibi64: 64 << 10, mebi: 1 << 20}

// simple is the work of libraries without a serializer, and simplest that of those
// that have no deadlines either.
var (
	simple   = []string{small, timed, kibi, kibi64, mebi}
	simplest = []string{small, kibi, kibi64, mebi}
)

// task returns a function that makes the nth call and checks the reply, so
// that no library gets away with an old or an empty one.
func task(work string, c caller) (func(n int) error, error) {
	switch work {
	case small:
		return addTask(c.add), nil
	case timed:
		tc, ok := c.(timedCaller)
		if !ok {
			return nil, fmt.Errorf("%T has no deadlines", c)
		}
		return addTask(tc.addInTime), nil
	case orders:
		oc, ok := c.(orderCaller)
		if !ok {
			return nil, fmt.Errorf("%T has no orders", c)
		}
		return oc.order, nil
	case kibi, kibi64, mebi:
		data := bytes.Repeat([]byte("0123456789abcdef"), payloads[work]/16)
		return func(n int) error {
			binary.LittleEndian.PutUint64(data, uint64(n))
			got, err := c.echo(data)
			if err == nil && !bytes.Equal(got, data) {
				err = fmt.Errorf("the echo of %d bytes differs: %d bytes", len(data), len(got))
			}
			return err
		}, nil
	}
	return nil, fmt.Errorf("unknown work %q", work)
}

func addTask(add func(a, b int) (int, error)) func(n int) error {
	return func(n int) error {
		sum, err := add(n, 7)
		if err == nil && sum != n+7 {
			err = fmt.Errorf("%d + 7 = %d", n, sum)
		}
		return err
	}
}

// libraries returns all, in the order of the report.
func libraries() []library {
	return []library{
		netRPC(), netJSONRPC(),
		geeGob(), geeJSON(), geeFramed(),
		grpcDefault(),
		kitexMux(), kitexPool(),
		rpcxDefault(),
		arpcDefault(), arpcRaw(), arpcBest(),
		gorpcDefault(), gorpcBest(),
		ttrpcDefault(),
		drpcDefault(),
		rawEcho(), rawWindow(),
	}
}

// find returns the library of that name.
func find(name string) (library, error) {
	for _, l := range libraries() {
		if l.name == name {
			return l, nil
		}
	}
	return library{}, fmt.Errorf("there is no library %q", name)
}

// background is the context of all calls but those with a deadline: none is cancelled.
var background = context.Background()

// Numbers as bytes, for libraries that are run without a serializer.
const (
	argsBytes  = 16
	replyBytes = 8
)

func putArgs(dst []byte, a, b int) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(a))
	return binary.LittleEndian.AppendUint64(dst, uint64(b))
}

// appendSum answers arguments that putArgs made.
func appendSum(dst, args []byte) ([]byte, error) {
	if len(args) != argsBytes {
		return dst, fmt.Errorf("arguments of %d bytes", len(args))
	}
	sum := binary.LittleEndian.Uint64(args) + binary.LittleEndian.Uint64(args[8:])
	return binary.LittleEndian.AppendUint64(dst, sum), nil
}

func getSum(reply []byte) (int, error) {
	if len(reply) != replyBytes {
		return 0, fmt.Errorf("a reply of %d bytes", len(reply))
	}
	return int(binary.LittleEndian.Uint64(reply)), nil
}
