package geerpc

import (
	"bytes"
	"context"
	"encoding/gob"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/compress"
)

// fuzzedConn is a connection on which a peer sends data and hangs up, whatever
// it is told.
type fuzzedConn struct{ data *bytes.Reader }

func (c fuzzedConn) Read(p []byte) (int, error)       { return c.data.Read(p) }
func (fuzzedConn) Write(p []byte) (int, error)        { return len(p), nil }
func (fuzzedConn) Close() error                       { return nil }
func (fuzzedConn) LocalAddr() net.Addr                { return &net.UnixAddr{} }
func (fuzzedConn) RemoteAddr() net.Addr               { return &net.UnixAddr{} }
func (fuzzedConn) SetDeadline(t time.Time) error      { return nil }
func (fuzzedConn) SetReadDeadline(t time.Time) error  { return nil }
func (fuzzedConn) SetWriteDeadline(t time.Time) error { return nil }

// FuzzServeConn is a peer that sends anything, from the first byte of the
// handshake on: the server does not panic, and is done when the peer is.
func FuzzServeConn(f *testing.F) {
	const hello = `{"MagicNumber":3927900,"CodecType":"application/json"`
	f.Add([]byte(hello + `}{"ServiceMethod":"Arith.Add","Seq":1}{"A":1,"B":2}`))
	f.Add([]byte(hello + `,"Version":1,"Ack":true,"Extended":true,"Kinds":["goaway","cancel","ping","pong"]}` +
		`{"Kind":"call","ServiceMethod":"Arith.Add","Seq":1,"Timeout":5,"Metadata":{"a":"b"}}{"A":1,"B":2}` +
		`{"Kind":"cancel","Seq":1}{"Kind":"ping","Seq":2}`))
	f.Add([]byte(`{"MagicNumber":3927900,"CodecType":"application/gob","Token":"x","HandleTimeout":-1}`))
	call := []byte(`{"ServiceMethod":"Arith.Add","Seq":1}{"A":1,"B":2}` + strings.Repeat(" ", 300))
	f.Add(compress.NewPacker(compress.Flate{}).Pack([]byte(hello+`,"Version":1,"Ack":true,"Compressions":["flate"]}`), call))
	f.Add([]byte(`[{"jsonrpc":"2.0","method":"Arith.Add","params":{"A":1,"B":2},"id":"a"},{"jsonrpc":"2.0","method":"none"}]{"method":`))
	f.Add([]byte("POST /Arith/Add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"A\":1,\"B\":2}GET / HTTP/1.1\r\n"))
	f.Add([]byte("CONNECT / HTTP/1.0\r\n\r\n" + hello + `}{"ServiceMethod":"Arith.Add","Seq":1}{"A":1,"B":2}`))
	var netRPC bytes.Buffer
	enc := gob.NewEncoder(&netRPC)
	enc.Encode(rpc.Request{ServiceMethod: "Arith.Add", Seq: 1})
	enc.Encode(Args{1, 2})
	f.Add(netRPC.Bytes())
	server := &Server{MaxMessageBytes: 1 << 16, Compression: []string{"flate"}}
	if err := server.Register(new(Arith)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		server.ServeConn(fuzzedConn{bytes.NewReader(data)})
		if conns := server.conns.Status().Conns; len(conns) != 0 {
			t.Fatalf("%d connections are left", len(conns))
		}
	})
}

// FuzzClient is a server that answers anything: a client is made or refused,
// and its calls return.
func FuzzClient(f *testing.F) {
	const welcome = `{"OK":true,"Version":1`
	f.Add([]byte(welcome + `,"Extended":true,"Kinds":["cancel"]}` + "\n" +
		`{"Kind":"reply","Seq":1}{"C":3}{"Kind":"goaway"}`))
	f.Add([]byte(welcome + `,"MaxInFlight":-1}` + "\n" + `{"Seq":1,"Error":"no"}{}`))
	f.Add([]byte(`{"Code":14,"Error":"later"}`))
	reply := []byte(`{"Seq":1,"Error":""}{"C":3}` + strings.Repeat(" ", 300))
	f.Add(compress.NewPacker(compress.Flate{}).Pack([]byte(welcome+`,"Compression":"flate"}`+"\n"), reply))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, err := NewClient(fuzzedConn{bytes.NewReader(data)}, &Option{MagicNumber: MagicNumber, CodecType: codec.JsonType,
			Compression: []string{"flate"}})
		if err != nil {
			return
		}
		client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply))
		client.Close()
	})
}
