package foreign

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/rpc"
)

// TestEthereum has go-ethereum's client call a server.
func TestEthereum(t *testing.T) {
	for _, c := range []struct {
		name, network string
		dial          func(ctx context.Context, t *testing.T, address string) (*rpc.Client, error)
	}{
		{"http", "tcp", func(ctx context.Context, t *testing.T, address string) (*rpc.Client, error) {
			transport := new(http.Transport)
			t.Cleanup(transport.CloseIdleConnections)
			return rpc.DialOptions(ctx, "http://"+address, rpc.WithHTTPClient(&http.Client{Transport: transport}))
		}},
		{"unix", "unix", func(ctx context.Context, t *testing.T, address string) (*rpc.Client, error) {
			return rpc.DialIPC(ctx, address)
		}},
		{"tcp", "tcp", func(ctx context.Context, t *testing.T, address string) (*rpc.Client, error) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { conn.Close() }) // the client does not close it, and its Close waits for that
			return rpc.DialIO(ctx, conn, conn)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := "127.0.0.1:0"
			if c.network == "unix" {
				address = filepath.Join(t.TempDir(), "socket")
			}
			lis := listen(t, c.network, address)
			notes := serve(t, lis)
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			client, err := c.dial(ctx, t, lis.Addr().String())
			if err != nil {
				cancel()
				t.Fatal(err)
			}
			defer client.Close()
			defer cancel()
			checkCalls(ctx, t, client)
			checkErrors(ctx, t, client)
			checkBatch(ctx, t, client)
			// Over HTTP, Notify waits for an answer to decode, which a notification has not.
			if err := client.Notify(ctx, "note", "noted"); err != nil && c.name != "http" {
				t.Error(err)
			}
			awaitNotes(t, notes, "noted")
		})
	}
}

func checkCalls(ctx context.Context, t *testing.T, client *rpc.Client) {
	t.Helper()
	var difference, sum int
	if err := client.CallContext(ctx, &difference, "subtract", 42, 23); err != nil || difference != 19 {
		t.Errorf("subtract by position: %d, %v", difference, err)
	}
	difference = 0
	if err := client.CallContext(ctx, &difference, "subtract", Difference{42, 23}); err != nil || difference != 19 {
		t.Errorf("subtract with one argument: %d, %v", difference, err)
	}
	if err := client.CallContext(ctx, &sum, "sum", 1, 2, 4); err != nil || sum != 7 {
		t.Errorf("sum: %d, %v", sum, err)
	}
	text := ""
	if err := client.CallContext(ctx, &text, "Text.Echo", "日本"); err != nil || text != "日本" {
		t.Errorf("Text.Echo: %q, %v", text, err)
	}
}

func checkErrors(ctx context.Context, t *testing.T, client *rpc.Client) {
	t.Helper()
	for _, c := range []struct {
		method string
		args   []any
		code   int
		data   map[string]any
	}{
		{"divide", []any{1, 0}, -32000, map[string]any{"code": "unknown", "where": "method", "ran": "yes"}},
		{"find", []any{"Ada"}, -32005, map[string]any{"code": "not_found", "where": "method", "ran": "yes"}},
		{"foobar", nil, -32601, map[string]any{"code": "not_found", "where": "server", "ran": "never"}},
		{"subtract", []any{"x", 1}, -32602, map[string]any{"code": "invalid_argument", "where": "server", "ran": "never"}},
	} {
		err := client.CallContext(ctx, new(any), c.method, c.args...)
		var failed rpc.DataError
		var coded rpc.Error
		switch {
		case !errors.As(err, &failed) || !errors.As(err, &coded):
			t.Errorf("%s: %v, want an error with data", c.method, err)
		case coded.ErrorCode() != c.code || !reflect.DeepEqual(failed.ErrorData(), c.data):
			t.Errorf("%s: %v, code %d, data %v; want code %d, data %v", c.method, err, coded.ErrorCode(), failed.ErrorData(), c.code, c.data)
		}
	}
}

func checkBatch(ctx context.Context, t *testing.T, client *rpc.Client) {
	t.Helper()
	batch := []rpc.BatchElem{
		{Method: "sum", Args: []any{1, 2, 4}, Result: new(int)},
		{Method: "foobar", Result: new(int)},
		{Method: "subtract", Args: []any{42, 23}, Result: new(int)},
	}
	if err := client.BatchCallContext(ctx, batch); err != nil {
		t.Fatal(err)
	}
	var missing rpc.Error
	if !errors.As(batch[1].Error, &missing) || missing.ErrorCode() != -32601 {
		t.Errorf("foobar in a batch: %v", batch[1].Error)
	}
	for i, want := range map[int]int{0: 7, 2: 19} {
		if got := *batch[i].Result.(*int); batch[i].Error != nil || got != want {
			t.Errorf("%s in a batch: %d, %v", batch[i].Method, got, batch[i].Error)
		}
	}
}
