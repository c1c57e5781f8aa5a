package middleware

import (
	"context"
	"net"
	"strings"
	"testing"

	"geerpc"
)

// A textAddr is an address of a network of one's own.
type textAddr string

func (textAddr) Network() string  { return "text" }
func (a textAddr) String() string { return string(a) }

func TestHostOf(t *testing.T) {
	tcp := func(text string) net.Addr {
		addr, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	for _, c := range []struct {
		addr net.Addr
		want string
	}{
		{nil, ""},
		{tcp("10.0.0.1:4711"), "10.0.0.1"},
		{tcp("[::ffff:10.0.0.1]:4711"), "10.0.0.1"},
		{tcp("[2001:db8:1:2:3:4:5:6]:4711"), "2001:db8:1:2::/64"},
		{tcp("[fe80::1%lo]:4711"), "fe80::/64"},
		{&net.TCPAddr{}, "invalid IP"},
		{&net.UnixAddr{Name: "/tmp/socket", Net: "unix"}, "/tmp/socket"},
		{textAddr("10.0.0.1:4711"), "10.0.0.1"},
		{textAddr("[2001:db8::1]:80"), "2001:db8::/64"},
		{textAddr("north:80"), "north"},
		{textAddr("pipe"), "pipe"},
	} {
		if got := hostOf(c.addr); got != c.want {
			t.Errorf("%v: %q, want %q", c.addr, got, c.want)
		}
	}
}

// TestByPeer asks on a server, over TCP.
func TestByPeer(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := geerpc.NewServer()
	keys := make(chan string, 1)
	server.Interceptors = []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			keys <- ByPeer(ctx, serviceMethod)
			return nil
		}
	}}
	go server.Serve(lis) // ends at Close
	defer server.Close()
	client, err := geerpc.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Call(t.Context(), "No.Such", 0, nil)
	if key := <-keys; key != "127.0.0.1" {
		t.Errorf("the key is %q", key)
	}
	if key := ByPeer(t.Context(), ""); key != "" {
		t.Errorf("without a peer it is %q", key)
	}
}

// TestKey_Long: keys take little memory, and stay apart.
func TestKey_Long(t *testing.T) {
	key := Key(testKey)
	of := func(text string) string { return key.of(withKey(t.Context(), text), "") }
	long := strings.Repeat("x", 1<<20)
	if a, b := of(long+"a"), of(long+"b"); len(a) > maxKeyBytes || a == b {
		t.Errorf("%q and %q", a, b)
	}
	if short := strings.Repeat("x", maxKeyBytes); of(short) != short {
		t.Error("a short key has changed")
	}
}
