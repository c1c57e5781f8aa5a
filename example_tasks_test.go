package geerpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"geerpc"
)

// Whether to call again is decided by what the error says of the call.
func ExampleError() {
	server := newServer()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()
	advise := func(err error) {
		var e *geerpc.Error
		switch {
		case !errors.As(err, &e):
			fmt.Println("it has worked")
		case e.Ran == geerpc.RanNever && e.Code == geerpc.CodeUnavailable:
			fmt.Println("call again, elsewhere or later")
		default:
			fmt.Printf("%s: %v, the method ran: %v\n", e.ServiceMethod, e.Code, e.Ran)
		}
	}
	ctx := context.Background()
	advise(client.Call(ctx, "Calculator.Add", Operands{1, 2}, nil))
	advise(client.Call(ctx, "Calculator.Divide", Operands{1, 0}, nil))
	advise(client.Call(ctx, "Calculator.Sqrt", Operands{1, 0}, nil))
	server.Shutdown(ctx)
	advise(client.Call(ctx, "Calculator.Add", Operands{1, 2}, nil))
	// Output:
	// it has worked
	// Calculator.Divide: invalid argument, the method ran: yes
	// Calculator.Sqrt: not found, the method ran: never
	// call again, elsewhere or later
}

// The debug page is for a mux that only you can reach. Programs read it as JSON.
func ExampleServer_DebugHandler() {
	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()
	client.Call(context.Background(), "Calculator.Add", Operands{1, 2}, nil)

	mux := http.NewServeMux()
	mux.Handle("/debug/geerpc", server.DebugHandler())
	page := httptest.NewRecorder()
	mux.ServeHTTP(page, httptest.NewRequest("GET", "/debug/geerpc?format=json", nil))
	var info struct {
		Services []struct {
			Name    string
			Methods []struct {
				Name  string
				Calls int
			}
		}
	}
	if err := json.Unmarshal(page.Body.Bytes(), &info); err != nil {
		log.Fatal(err)
	}
	for _, method := range info.Services[0].Methods {
		fmt.Println(info.Services[0].Name, method.Name, method.Calls)
	}
	// Output:
	// Calculator Add 1
	// Calculator Divide 0
	// Calculator Wait 0
}

// Before anything else, a server that shuts down leaves where clients look for it.
func ExampleServer_OnShutdown() {
	server := newServer()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()
	server.OnShutdown(func(ctx context.Context) {
		var sum int
		err := client.Call(ctx, "Calculator.Add", Operands{1, 2}, &sum)
		fmt.Println("leave the list; calls still work:", sum, err)
	})
	fmt.Println("shut down:", server.Shutdown(context.Background()))
	// Output:
	// leave the list; calls still work: 3 <nil>
	// shut down: <nil>
}

// Every client must present the server's token.
func ExampleOption_token() {
	server := newServer()
	server.Token = "open sesame" // read it from a file, and use TLS
	defer server.Close()
	lis := geerpc.NewPipeListener()
	go server.Serve(lis)

	for _, token := range []string{"", "open sesame"} {
		client, err := geerpc.Dial("pipe", "cave", &geerpc.Option{Dialer: lis.DialContext, Token: token})
		if err != nil {
			fmt.Println(geerpc.CodeOf(err), "-", err)
			continue
		}
		defer client.Close()
		fmt.Println("welcome")
	}
	// Output:
	// unauthenticated - rpc client: pipe@cave: the server refused the connection: the token is missing or wrong
	// welcome
}

// The server answers a call when its time is up, and ends the method's context.
func ExampleOption_handleTimeout() {
	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{HandleTimeout: 20 * time.Millisecond})
	defer client.Close()

	err := client.Call(context.Background(), "Calculator.Wait", Operands{}, nil)
	fmt.Println(geerpc.CodeOf(err), errors.Is(err, context.DeadlineExceeded))
	// Output: deadline exceeded true
}

// Processes of one machine talk over a Unix socket.
func ExampleDial_unix() {
	dir, err := os.MkdirTemp("", "calculator")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lis, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
	server := newServer()
	defer server.Close()
	go server.Serve(lis)

	client, err := geerpc.Dial("unix", lis.Addr().String()) // or XDial("unix@" + path)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	fmt.Println(client.Call(context.Background(), "Calculator.Add", Operands{1, 2}, &sum), sum)
	// Output: <nil> 3
}

// Who may call which method is decided before the arguments are decoded. (Package
// middleware has Authorize, with identities and rules.)
func ExampleServer_admit() {
	server := newServer()
	server.Admit = append(server.Admit, func(ctx context.Context, serviceMethod string) error {
		if strings.HasSuffix(serviceMethod, ".Add") || geerpc.MetadataFrom(ctx)["key"] == "pupil" {
			return nil
		}
		return geerpc.Errorf(geerpc.CodePermissionDenied, "%s is for pupils", serviceMethod)
	})
	defer server.Close()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	ctx := context.Background()
	pupil := geerpc.WithMetadata(ctx, geerpc.Metadata{"key": "pupil"})
	fmt.Println(client.Call(ctx, "Calculator.Add", Operands{6, 2}, nil))
	fmt.Println(client.Call(ctx, "Calculator.Divide", Operands{6, 2}, nil))
	fmt.Println(client.Call(pupil, "Calculator.Divide", Operands{6, 2}, nil))
	// Output:
	// <nil>
	// Calculator.Divide is for pupils
	// <nil>
}
