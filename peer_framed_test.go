package geerpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"geerpc/codec"
)

// A handFrame is a message of the framed layout, put together and taken apart
// here a second time: what the library does to its own messages it must not
// notice by making the same mistake twice.
type handFrame struct {
	kind             codec.Kind
	seq              uint64
	method           string
	timeout          uint64
	code, where, ran byte
	text             string
	metadata         [][2]string
	body             string // JSON; empty: none
}

func (f handFrame) bytes() []byte {
	str := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	var flags byte
	if f.body != "" {
		flags |= 1
	}
	if f.timeout > 0 {
		flags |= 2
	}
	if f.code > 0 {
		flags |= 4
	}
	if len(f.metadata) > 0 {
		flags |= 8
	}
	b := []byte{0, 0, 0, 0, byte(f.kind), flags}
	b = binary.AppendUvarint(b, f.seq)
	if f.kind == codec.Call {
		b = str(b, f.method)
	}
	if f.timeout > 0 {
		b = binary.AppendUvarint(b, f.timeout)
	}
	if f.code > 0 {
		b = str(append(b, f.code, f.where, f.ran), f.text)
	}
	if len(f.metadata) > 0 {
		b = binary.AppendUvarint(b, uint64(len(f.metadata)))
		for _, pair := range f.metadata {
			b = str(str(b, pair[0]), pair[1])
		}
	}
	b = append(b, f.body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// A handPeer is one end of a connection, written by hand: it says what it is
// told to, in whatever order, and never anything else.
type handPeer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// bare returns a connection to e's server on which nothing has been said.
func (e *env) bare() net.Conn {
	e.t.Helper()
	e.start()
	var conn net.Conn
	var err error
	if lis, ok := e.lis.(*PipeListener); ok {
		conn, err = lis.DialContext(context.Background(), "", "")
	} else {
		conn, err = net.Dial(e.lis.Addr().Network(), e.lis.Addr().String())
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	return conn
}

// byHand returns a client written by hand that has shaken hands for framed
// JSON, and has said that it handles kinds.
func (e *env) byHand(kinds ...string) *handPeer {
	e.t.Helper()
	p := &handPeer{t: e.t, conn: e.bare()}
	p.in = bufio.NewReader(p.conn)
	hello := map[string]any{"MagicNumber": MagicNumber, "CodecType": framedJSON, "Version": 1, "Ack": true, "Extended": true, "Kinds": kinds}
	if slices.Contains(kinds, codec.Ping.String()) {
		hello["PingInterval"] = DefaultPingInterval
	}
	p.say(hello)
	var answer struct{ OK, Extended bool }
	p.hear(&answer)
	if !answer.OK || !answer.Extended {
		e.t.Fatalf("acknowledgement is %+v", answer)
	}
	return p
}

// handServer returns a Client whose server is written by hand.
func handServer(t testing.TB, o *Option) (*Client, *handPeer) {
	t.Helper()
	near, far := net.Pipe()
	p := &handPeer{t: t, conn: far, in: bufio.NewReader(far)}
	greeted := make(chan struct{})
	go func() { // ends with the handshake
		defer close(greeted)
		p.hear(&struct{}{})
		p.say(map[string]any{"OK": true, "Version": 1, "Extended": true, "Kinds": allKinds})
	}()
	opt := Option{CodecType: framedJSON}
	if o != nil {
		opt = *o
	}
	c, err := NewClient(near, &opt)
	if err != nil {
		t.Fatal(err)
	}
	<-greeted
	t.Cleanup(func() { far.Close(); c.Close() })
	return c, p
}

// say sends a line of JSON, hear reads one.
func (p *handPeer) say(v any) {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = p.conn.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Error(err)
	}
}

func (p *handPeer) hear(v any) {
	line, err := p.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// send sends frames in one write.
func (p *handPeer) send(frames ...handFrame) {
	p.t.Helper()
	var b []byte
	for _, f := range frames {
		b = append(b, f.bytes()...)
	}
	if _, err := p.conn.Write(b); err != nil {
		p.t.Error(err)
	}
}

// next reads the next frame; a second without one fails the test.
func (p *handPeer) next() handFrame {
	p.t.Helper()
	f, err := p.read()
	if err != nil {
		p.t.Fatal(err)
	}
	return f
}

func (p *handPeer) read() (f handFrame, err error) {
	var prefix [4]byte
	if _, err := io.ReadFull(p.in, prefix[:]); err != nil {
		return f, err
	}
	b := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	if _, err := io.ReadFull(p.in, b); err != nil {
		return f, err
	}
	uvarint := func() uint64 {
		x, n := binary.Uvarint(b)
		b = b[n:]
		return x
	}
	str := func() string {
		n := uvarint()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	f.kind = codec.Kind(b[0])
	flags := b[1]
	b = b[2:]
	f.seq = uvarint()
	if f.kind == codec.Call {
		f.method = str()
	}
	if flags&2 != 0 {
		f.timeout = uvarint()
	}
	if flags&4 != 0 {
		f.code, f.where, f.ran = b[0], b[1], b[2]
		b = b[3:]
		f.text = str()
	}
	if flags&8 != 0 {
		for range uvarint() {
			f.metadata = append(f.metadata, [2]string{str(), str()})
		}
	}
	f.body = string(b)
	return f, nil
}

// awaitEnd reads until the server has closed the connection, and returns what
// it said before by seq: how many frames of each kind.
func (p *handPeer) awaitEnd() {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, err := p.read(); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				p.t.Fatal("the connection is still open")
			}
			return
		}
	}
}

// add is a call of Arith.Add.
func handAdd(seq uint64, a, b int) handFrame {
	body, _ := json.Marshal(Args{a, b})
	return handFrame{kind: codec.Call, seq: seq, method: "Arith.Add", body: string(body)}
}

// handBlock is a call of Arith.Block.
func handBlock(seq uint64) handFrame {
	return handFrame{kind: codec.Call, seq: seq, method: "Arith.Block", body: "{}"}
}

// sum returns the result in an answer of Arith.Add.
func (f handFrame) sum(t testing.TB) int {
	t.Helper()
	var r Reply
	if err := json.Unmarshal([]byte(f.body), &r); err != nil {
		t.Fatalf("reply %d has the body %q: %v; error %q", f.seq, f.body, err, f.text)
	}
	return r.C
}
