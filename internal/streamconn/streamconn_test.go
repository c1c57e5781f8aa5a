package streamconn

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A stream is the least that a net.Conn is made of.
type stream struct{ io.ReadWriteCloser }

// A capable stream has all methods of a net.Conn but LocalAddr, and CloseWrite.
type capable struct {
	stream
	did []string
}

func (c *capable) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "there"} }
func (c *capable) SetDeadline(time.Time) error {
	c.did = append(c.did, "deadline")
	return nil
}
func (c *capable) SetReadDeadline(time.Time) error {
	c.did = append(c.did, "read deadline")
	return nil
}
func (c *capable) SetWriteDeadline(time.Time) error {
	c.did = append(c.did, "write deadline")
	return nil
}
func (c *capable) CloseWrite() error {
	c.did = append(c.did, "close write")
	return nil
}

// closeWrite closes a connection for writing.
func closeWrite(conn net.Conn) error {
	return conn.(interface{ CloseWrite() error }).CloseWrite()
}

func TestNew_Plain(t *testing.T) {
	conn := New(stream{})
	if conn.LocalAddr().String() != "stream" || conn.RemoteAddr().Network() != "stream" {
		t.Errorf("addresses are %v and %v", conn.LocalAddr(), conn.RemoteAddr())
	}
	for _, set := range []func(time.Time) error{conn.SetDeadline, conn.SetReadDeadline, conn.SetWriteDeadline} {
		if err := set(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			t.Error(err)
		}
	}
	if err := closeWrite(conn); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestNew_PassesOn(t *testing.T) {
	c := new(capable)
	conn := New(c)
	if conn.LocalAddr().String() != "stream" || conn.RemoteAddr().String() != "there" {
		t.Errorf("addresses are %v and %v", conn.LocalAddr(), conn.RemoteAddr())
	}
	for _, err := range []error{conn.SetDeadline(time.Time{}), conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Time{}), closeWrite(conn)} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(c.did) != 4 {
		t.Errorf("only %q was passed on", c.did)
	}
}

func TestNew_Conn(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if New(near) != near {
		t.Error("a net.Conn is wrapped")
	}
}
