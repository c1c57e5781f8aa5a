package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
)

// The work that every library does: add two numbers, and echo some bytes.
// Libraries that need types of their own (protobuf, thrift) have equal ones
// under internal.
type (
	// Args are the arguments of "small".
	Args struct{ A, B int }

	// Reply is the reply of "small".
	Reply struct{ C int }

	// Bytes is both, of "1KiB".
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

// A library is one way to have the work done.
type library struct {
	name string
	note string // serializer and settings, for the report

	// serve answers calls until the process ends or the listener is closed.
	serve func(lis net.Listener) error

	// dial makes one connection, which that many callers will share.
	dial func(addr string, callers int) (conn, error)
}

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

// The names of the work.
const (
	small   = "small"
	kibi    = "1KiB"
	payload = 1 << 10
)

// task returns a function that makes the nth call and checks the reply, so
// that no library gets away with an old or an empty one.
func task(work string, c caller) (func(n int) error, error) {
	switch work {
	case small:
		return func(n int) error {
			sum, err := c.add(n, 7)
			if err == nil && sum != n+7 {
				err = fmt.Errorf("%d + 7 = %d", n, sum)
			}
			return err
		}, nil
	case kibi:
		data := bytes.Repeat([]byte("0123456789abcdef"), payload/16)
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

// libraries returns all, in the order of the report.
func libraries() []library {
	return []library{
		netRPC(), netJSONRPC(),
		geeGob(), geeFramed(),
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

// background is the context of all calls: none is cancelled.
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
