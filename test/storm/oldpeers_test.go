package storm

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"sync"
	"time"

	"geerpc"
	"geerpc/codec"
)

// oldHeader is the header of GeeRPC's wire.
type oldHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// oldClient is a client of GeeRPC's original version: it sends its Option and,
// in the same segment or not, gob values.
func (c *caller) oldClient(s *stage) {
	if s.transport == "tls" || s.transport == "http" {
		return
	}
	addr := s.calm.lis.Addr()
	conn, err := net.DialTimeout(addr.Network(), addr.String(), time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	out := bufio.NewWriter(conn)
	json.NewEncoder(out).Encode(geerpc.DefaultOption)
	enc, dec := gob.NewEncoder(out), gob.NewDecoder(conn)
	sent := make(map[uint64]*Parcel)
	for seq := range uint64(rand.IntN(8)) {
		id := c.ledger.begin("an old client over "+s.transport, false)
		sent[seq] = newParcel(id, tasks[rand.IntN(len(tasks))], rand.IntN(10_000))
		enc.Encode(oldHeader{ServiceMethod: "Depot.Handle", Seq: seq})
		enc.Encode(sent[seq])
		if rand.IntN(2) == 0 {
			out.Flush()
		}
	}
	out.Flush()
	c.oldReplies(dec, sent)
	for _, args := range sent {
		c.ledger.end(args.ID, ranMaybe, nil)
	}
}

// oldReplies reads replies, and takes those that come out of sent.
func (c *caller) oldReplies(dec *gob.Decoder, sent map[uint64]*Parcel) {
	for len(sent) > 0 {
		var h oldHeader
		var reply Parcel
		if dec.Decode(&h) != nil {
			return
		}
		args := sent[h.Seq]
		if args == nil {
			c.ledger.wrong(fmt.Sprintf("an old client has a reply too many: %+v", h))
			return
		}
		delete(sent, h.Seq)
		if h.Error != "" {
			dec.DecodeValue(reflect.Value{})
			c.ledger.end(args.ID, ranMaybe, errors.New(h.Error))
			continue
		}
		if dec.Decode(&reply) != nil {
			c.ledger.end(args.ID, ranMaybe, nil)
			return
		}
		c.ledger.end(args.ID, answered, nil)
		c.check("an old client", args, &reply)
	}
}

// An oldServer is a server of GeeRPC's original version, behind a proxy. It
// reads the Option with a json.Decoder, which swallows what comes along.
type oldServer struct {
	lis   net.Listener
	proxy *proxy
	depot *Depot
	wg    sync.WaitGroup
}

func newOldServer(l *ledger) (*oldServer, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &oldServer{lis: lis, depot: &Depot{l}}
	if s.proxy, err = newProxy("tcp", "127.0.0.1:0", false); err != nil {
		return nil, err
	}
	s.proxy.whole = true // or else that decoder swallows more
	s.proxy.point(lis.Addr())
	s.wg.Go(s.accept)
	return s, nil
}

// close returns when nothing of the server is left.
func (s *oldServer) close() {
	s.lis.Close()
	s.proxy.close() // ends all connections
	s.wg.Wait()
}

func (s *oldServer) accept() {
	for {
		conn, err := s.lis.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.serve(conn) })
	}
}

func (s *oldServer) serve(conn net.Conn) {
	defer conn.Close()
	var opt geerpc.Option
	if json.NewDecoder(conn).Decode(&opt) != nil || opt.MagicNumber != geerpc.MagicNumber || opt.CodecType != codec.GobType {
		return
	}
	dec, out := gob.NewDecoder(conn), bufio.NewWriter(conn)
	enc := gob.NewEncoder(out)
	var mu sync.Mutex // held to answer
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		var h oldHeader
		var args Parcel
		if dec.Decode(&h) != nil || dec.Decode(&args) != nil {
			return
		}
		wg.Go(func() {
			var reply any = new(Parcel)
			if err := s.handle(&args, reply.(*Parcel)); err != nil {
				h.Error, reply = err.Error(), struct{}{}
			}
			mu.Lock()
			defer mu.Unlock()
			enc.Encode(h)
			enc.Encode(reply)
			out.Flush()
		})
	}
}

// handle handles a call but for what such a server does not outlive.
func (s *oldServer) handle(args, reply *Parcel) error {
	if args.Task == taskPanic || args.Task == taskExit {
		args.Task = taskFail
		args.Sum = args.sum()
	}
	return s.depot.Handle(context.Background(), args, reply)
}

// oldServer makes calls to a server of GeeRPC's original version.
func (c *caller) oldServer(ctx context.Context) {
	client, err := geerpc.Dial("tcp", c.old.proxy.lis.Addr().String(), &geerpc.Option{Legacy: true, ConnectTimeout: time.Second})
	if err == nil {
		c.crowd(ctx, client, "an old server", false)
	}
}
