package geerpc

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// A slowCloseConn is a connection whose Close does not return until it is freed.
type slowCloseConn struct {
	net.Conn
	free chan struct{}
}

func (c *slowCloseConn) Close() error {
	<-c.free
	return c.Conn.Close()
}

// slowClose returns a connection to which a server has said welcome. It is freed
// with the test.
func slowClose(t *testing.T) net.Conn {
	near, far := net.Pipe()
	go io.WriteString(far, plainWelcome)
	go io.Copy(io.Discard, far)
	c := &slowCloseConn{Conn: near, free: make(chan struct{})}
	t.Cleanup(func() { close(c.free) })
	return c
}

// inHalf is a codec that sends half a message and fails.
const inHalf codec.Type = "test/in-half"

type halfCodec struct {
	codec.Codec
	conn io.Writer
}

func (c halfCodec) Write(*codec.Header, any) error {
	c.conn.Write([]byte("half"))
	return errors.New("half a message")
}

func init() {
	codec.Register(inHalf, func(conn io.ReadWriteCloser) codec.Codec { return halfCodec{codec.NewJSONCodec(conn), conn} })
}

// A connection takes an hour to be closed. That holds up neither Close nor
// Shutdown for more than a second, and no call at all.
func TestD166_CloseOfAConnectionBlocks(t *testing.T) {
	ends := map[string]struct {
		opt   *Option
		end   func(t *testing.T, c *Client)
		after time.Duration
	}{
		"Close": {nil, func(t *testing.T, c *Client) { c.Close() }, closeGrace},
		"Shutdown": {nil, func(t *testing.T, c *Client) {
			go c.Call(context.Background(), "Arith.Add", Args{}, nil)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := c.Shutdown(ctx); err != context.DeadlineExceeded {
				t.Error(err)
			}
		}, 3*time.Second + closeGrace},
		"a call that breaks the connection": {&Option{CodecType: inHalf}, func(t *testing.T, c *Client) {
			err := c.Call(context.Background(), "Arith.Add", Args{}, nil)
			wantError(t, err, CodeUnavailable, OnLink, RanNever)
		}, 0},
	}
	for name, how := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := NewClient(slowClose(t), how.opt)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				how.end(t, c)
				if took := time.Since(start); took != how.after {
					t.Errorf("took %v, want %v", took, how.after)
				}
				c.Close()
			})
		})
	}
}

// A Dial that fails is not held up either, and closes the connection.
func TestD166_DialWhoseConnectionIsSlowToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := NewClient(slowClose(t), &Option{CodecType: "test/none"})
		wantError(t, err, CodeInvalidArgument, InClient, RanNever)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}
