package geerpc_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"geerpc"
	"geerpc/codec"
)

// A textCodec is the server's side of a protocol whose calls are lines such as
//
//	!Calc.Double 21
//
// and whose answers are lines of JSON, or begin with "error: ".
type textCodec struct {
	io.Closer
	in   *bufio.Reader
	out  io.Writer
	seq  uint64
	args string // of the call being read
}

func newTextCodec(conn io.ReadWriteCloser) codec.Codec {
	return &textCodec{Closer: conn, in: bufio.NewReader(conn), out: conn}
}

func (c *textCodec) ReadHeader(h *codec.Header) error {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return err // io.EOF: what has been read is still answered
	}
	c.seq++
	method, args, _ := strings.Cut(strings.TrimPrefix(line, "!"), " ")
	*h, c.args = codec.Header{ServiceMethod: method, Seq: c.seq}, args
	return nil
}

func (c *textCodec) ReadBody(args any) error {
	if args == nil { // the call can't be met
		return nil
	}
	return json.Unmarshal([]byte(c.args), args)
}

func (c *textCodec) Write(h *codec.Header, reply any) error {
	if h.Error != "" {
		_, err := fmt.Fprintln(c.out, "error:", h.Error)
		return err
	}
	return json.NewEncoder(c.out).Encode(reply)
}

// A server speaks a protocol of one's own beside the built-in ones. (Answers come in the
// order of the calls because the server is Ordered: these lines have no number.)
func ExampleProtocol() {
	text := &geerpc.Protocol{Name: "text", Begins: []string{"!"}, CodecType: codec.JsonType, ServerCodec: newTextCodec}
	server := &geerpc.Server{
		Protocols: []*geerpc.Protocol{geerpc.GeeRPC, geerpc.JSONRPC, geerpc.HTTP, text}, // not NetRPC: its clients may begin with "!"
		Ordered:   true,
	}
	if err := server.Register(Calc{}); err != nil {
		log.Fatal(err)
	}
	client, conn := net.Pipe()
	go server.ServeConn(conn)
	go io.WriteString(client, "!Calc.Double 21\n!Calc.Halve 21\n")
	answers := bufio.NewScanner(client)
	for range 2 {
		answers.Scan()
		fmt.Println(answers.Text())
	}
	client.Close()
	server.Close()
	// Output:
	// 42
	// error: rpc server: can't find method Halve of service Calc
}

// Calc is a service.
type Calc struct{}

// Double doubles.
func (Calc) Double(n int, reply *int) error {
	*reply = 2 * n
	return nil
}
