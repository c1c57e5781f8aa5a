package main

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
)

// rawEcho is the limit: frames over TCP with coalesced writes, no serializer,
// no method names, no errors, handlers inline. It tells what the wire and the
// scheduler leave to a library.
//
// A frame is the length of its body and a number, four bytes each, and the
// body. The number is the caller's, which the answer repeats.
func rawEcho() library {
	return library{
		name: "raw", note: "the limit: framed echo, no serializer", only: simplest,
		serve: func(lis net.Listener) error {
			for {
				conn, err := lis.Accept()
				if err != nil {
					return err
				}
				go serveRaw(conn)
			}
		},
		dial: func(addr string, callers int) (conn, error) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			r := &rawConn{Conn: c}
			if callers > 1 {
				r.shared = true
				go r.receive()
			}
			return r, nil
		},
	}
}

const (
	rawHeader = 8
	rawBuffer = 64 << 10
)

// A rawReader splits what a connection sends into frames, as many of each read
// as are there.
type rawReader struct {
	conn  io.Reader
	data  []byte // read and not yet looked at
	space []byte
}

// fill reads once, behind what is left over. There is room for that frame.
func (r *rawReader) fill() error {
	room := rawBuffer
	if len(r.data) >= rawHeader {
		room = max(room, rawHeader+int(binary.LittleEndian.Uint32(r.data)))
	}
	space := r.space
	if len(space) < room {
		space = make([]byte, room)
	}
	left := copy(space, r.data)
	r.space = space
	n, err := r.conn.Read(r.space[left:])
	r.data = r.space[:left+n]
	return err
}

// next returns the next frame that is there whole, if one is.
func (r *rawReader) next() (id uint32, body []byte, ok bool) {
	if len(r.data) < rawHeader {
		return 0, nil, false
	}
	end := rawHeader + int(binary.LittleEndian.Uint32(r.data))
	if len(r.data) < end {
		return 0, nil, false
	}
	id, body = binary.LittleEndian.Uint32(r.data[4:]), r.data[rawHeader:end]
	r.data = r.data[end:]
	return id, body, true
}

func appendRaw(dst []byte, id uint32, body []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, id)
	return append(dst, body...)
}

// serveRaw answers all frames of one read with one write.
func serveRaw(conn net.Conn) {
	defer conn.Close()
	in := rawReader{conn: conn}
	var out []byte
	for in.fill() == nil {
		out = out[:0]
		for id, body, ok := in.next(); ok; id, body, ok = in.next() {
			out = appendRaw(out, id, body)
		}
		if len(out) == 0 {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// A rawConn is shared by callers, or used by a single one, who then writes and
// reads without handing anything over.
type rawConn struct {
	net.Conn
	shared  bool
	callers []*rawCaller // complete before the first call

	mu       sync.Mutex // guards what follows
	out      []byte     // frames to be written
	flushing bool       // somebody is at it
	failed   error

	spare []byte // the other buffer; of whoever is flushing
}

func (c *rawConn) caller() caller {
	rc := &rawCaller{conn: c, id: uint32(len(c.callers)), done: make(chan struct{}, 1)}
	if !c.shared {
		rc.in = &rawReader{conn: c.Conn}
	}
	c.callers = append(c.callers, rc)
	return rc
}

// send adds a frame to those to be written, and writes if nobody does.
func (c *rawConn) send(id uint32, body []byte) error {
	c.mu.Lock()
	c.out = appendRaw(c.out, id, body)
	first, err := !c.flushing, c.failed
	c.flushing = true
	c.mu.Unlock()
	if first && err == nil {
		err = c.flush()
	}
	return err
}

// flush writes until nothing is left, and lets others add to it first.
func (c *rawConn) flush() error {
	for {
		runtime.Gosched()
		c.mu.Lock()
		if len(c.out) == 0 {
			c.flushing = false
			c.mu.Unlock()
			return nil
		}
		data := c.out
		c.out, c.spare = c.spare[:0], data
		c.mu.Unlock()
		if _, err := c.Write(data); err != nil {
			c.fail(err)
			return err
		}
	}
}

// receive hands out answers until the connection ends.
func (c *rawConn) receive() {
	in := rawReader{conn: c.Conn}
	for {
		if err := in.fill(); err != nil {
			c.fail(err)
			return
		}
		for id, body, ok := in.next(); ok; id, body, ok = in.next() {
			rc := c.callers[id]
			rc.reply = append(rc.reply[:0], body...)
			rc.done <- struct{}{}
		}
	}
}

// fail ends all calls.
func (c *rawConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return
	}
	c.failed = err
	for _, rc := range c.callers {
		close(rc.done)
	}
}

type rawCaller struct {
	conn  *rawConn
	id    uint32
	done  chan struct{}
	args  []byte
	reply []byte
	in    *rawReader // of the single caller
}

func (c *rawCaller) call(body []byte) ([]byte, error) {
	if !c.conn.shared {
		return c.alone(body)
	}
	if err := c.conn.send(c.id, body); err != nil {
		return nil, err
	}
	if _, ok := <-c.done; !ok {
		return nil, io.ErrUnexpectedEOF
	}
	return c.reply, nil
}

// alone is a call without any other goroutine.
func (c *rawCaller) alone(body []byte) ([]byte, error) {
	c.args = appendRaw(c.args[:0], c.id, body)
	if _, err := c.conn.Write(c.args); err != nil {
		return nil, err
	}
	for {
		if _, reply, ok := c.in.next(); ok {
			return reply, nil
		}
		if err := c.in.fill(); err != nil {
			return nil, err
		}
	}
}

// add has the numbers echoed and adds them here: the server only echoes.
func (c *rawCaller) add(a, b int) (int, error) {
	var args [argsBytes]byte
	reply, err := c.call(putArgs(args[:0], a, b))
	if err != nil {
		return 0, err
	}
	var sum [replyBytes]byte
	got, err := appendSum(sum[:0], reply)
	if err != nil {
		return 0, err
	}
	return getSum(got)
}

func (c *rawCaller) echo(data []byte) ([]byte, error) { return c.call(data) }
