package main

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// rawWindow is the limit without callers: one goroutine for each connection
// keeps as many frames under way as there would be callers, and answers all
// replies of one read with one write of new frames. What lies between this and
// rawEcho is what it costs to wake a goroutine for each reply.
func rawWindow() library {
	return library{
		name: "raw-window", note: "the wire: framed echo, one goroutine in place of the callers", only: []string{small, kibi}, // it writes all before it reads
		serve: rawEcho().serve,
		dial: func(addr string, callers int) (conn, error) {
			c, err := net.Dial("tcp", addr)
			return &windowConn{Conn: c, frames: callers}, err
		},
	}
}

// A looper is a conn that makes the calls of all its callers by itself.
type looper interface {
	loop(work string) loop
}

type windowConn struct {
	net.Conn
	frames int // under way at a time
}

// caller is for tests: a connection with a single frame under way.
func (c *windowConn) caller() caller {
	return &rawCaller{conn: &rawConn{Conn: c.Conn}, in: &rawReader{conn: c.Conn}}
}

func (c *windowConn) loop(work string) loop {
	return func(first, calls int, stop *atomic.Bool) (int, *histogram, error) {
		w := window{
			work: work, next: first, left: calls * c.frames, endless: calls == 0,
			sent: make([]time.Time, c.frames), args: make([]int, c.frames),
			latency: new(histogram),
		}
		err := w.run(c.Conn, stop)
		return w.done, w.latency, err
	}
}

// A window is the state of one loop. Frame i is numbered i, and used again
// when its reply has come.
type window struct {
	work     string
	next     int // what the next frame has to say
	left     int // how many are to be sent yet, unless endless
	endless  bool
	args     []int
	sent     []time.Time
	underway int
	out      []byte
	body     []byte

	done    int
	latency *histogram
}

func (w *window) run(conn net.Conn, stop *atomic.Bool) error {
	in := rawReader{conn: conn}
	now := time.Now()
	for id := range w.sent {
		w.put(id, now)
	}
	for w.underway > 0 {
		if _, err := conn.Write(w.out); err != nil {
			return err
		}
		w.out = w.out[:0]
		for len(w.out) == 0 && w.underway > 0 {
			if err := in.fill(); err != nil {
				return err
			}
			if err := w.takeAll(&in, stop.Load()); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeAll takes the replies that are there and puts new frames in their place.
func (w *window) takeAll(in *rawReader, last bool) error {
	now := time.Now()
	for id, body, ok := in.next(); ok; id, body, ok = in.next() {
		if int(id) >= len(w.sent) {
			return fmt.Errorf("a reply to frame %d, which was not sent", id)
		}
		if err := w.check(int(id), body); err != nil {
			return err
		}
		w.latency.add(now.Sub(w.sent[id]))
		w.done++
		w.underway--
		if !last {
			w.put(int(id), now)
		}
	}
	return nil
}

func (w *window) put(id int, now time.Time) {
	if !w.endless && w.left == 0 {
		return
	}
	w.left--
	w.args[id], w.sent[id] = w.next, now
	w.next++
	w.underway++
	w.out = appendRaw(w.out, uint32(id), w.fill(w.args[id]))
}

// fill returns the body of the nth frame.
func (w *window) fill(n int) []byte {
	size := payloads[w.work]
	if size > 0 && w.body == nil {
		w.body = make([]byte, size-argsBytes, size)
	}
	if size > 0 {
		return putArgs(w.body[:size-argsBytes], n, 7)
	}
	w.body = putArgs(w.body[:0], n, 7)
	return w.body
}

func (w *window) check(id int, reply []byte) error {
	if want := len(w.fill(0)); len(reply) != want {
		return fmt.Errorf("a reply of %d bytes, not %d", len(reply), want)
	}
	var sum [replyBytes]byte
	got, err := appendSum(sum[:0], reply[len(reply)-argsBytes:])
	if err != nil {
		return err
	}
	if n, err := getSum(got); err != nil || n != w.args[id]+7 {
		return fmt.Errorf("%d + 7 = %d, %v", w.args[id], n, err)
	}
	return nil
}
