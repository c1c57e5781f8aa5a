package geerpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"geerpc"
	"geerpc/codec"
)

// Operands are the arguments of Calculator's methods.
type Operands struct{ A, B int }

// Calculator is the service of the examples.
type Calculator struct{}

// Add adds.
func (Calculator) Add(args Operands, sum *int) error {
	*sum = args.A + args.B
	return nil
}

// Divide divides.
func (Calculator) Divide(args Operands, quotient *int) error {
	if args.B == 0 {
		return geerpc.Errorf(geerpc.CodeInvalidArgument, "%d divided by zero", args.A)
	}
	*quotient = args.A / args.B
	return nil
}

// Wait waits for as long as its caller does.
func (Calculator) Wait(ctx context.Context, _ Operands, _ *int) error {
	<-ctx.Done()
	return ctx.Err()
}

// newServer returns a server that offers a Calculator.
func newServer() *geerpc.Server {
	server := geerpc.NewServer()
	if err := server.Register(Calculator{}); err != nil {
		log.Fatal(err)
	}
	return server
}

// dialPipe serves in the process and returns a client of the server.
func dialPipe(server *geerpc.Server, opt geerpc.Option) *geerpc.Client {
	lis := geerpc.NewPipeListener()
	go server.Serve(lis)
	opt.Dialer = lis.DialContext
	client, err := geerpc.Dial("pipe", "", &opt)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// A server and a client over TCP.
func Example() {
	server := geerpc.NewServer()
	if err := server.Register(Calculator{}); err != nil {
		log.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(lis)
	defer server.Close()

	client, err := geerpc.Dial("tcp", lis.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	if err := client.Call(context.Background(), "Calculator.Add", Operands{1, 2}, &sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println("1 + 2 =", sum)
	// Output: 1 + 2 = 3
}

// A server says why a value can't be registered, and what it can't be asked.
func ExampleServer() {
	server := geerpc.NewServer()
	server.MaxInFlight = 100
	server.HandleTimeout = time.Minute
	fmt.Println(server.Register(Calculator{}))
	fmt.Println(server.Register(Calculator{}))
	fmt.Println(server.RegisterName("Sums", Calculator{}, "Add")) // nothing but Add

	client := dialPipe(server, geerpc.Option{})
	defer server.Close()
	defer client.Close()
	fmt.Println(client.Call(context.Background(), "Sums.Divide", Operands{1, 1}, nil))
	// Output:
	// <nil>
	// rpc: service already defined: Calculator
	// <nil>
	// rpc server: can't find method Divide of service Sums
}

// What a call failed with tells what to do about it.
func ExampleClient() {
	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	var quotient int
	err := client.Call(context.Background(), "Calculator.Divide", Operands{1, 0}, &quotient)
	var e *geerpc.Error
	if errors.As(err, &e) {
		fmt.Println("text: ", e)
		fmt.Println("code: ", e.Code)
		fmt.Println("where:", e.Where)
		fmt.Println("ran:  ", e.Ran)
	}
	// Output:
	// text:  1 divided by zero
	// code:  invalid argument
	// where: in the method
	// ran:   yes
}

// When the context ends, Call returns, and so does the method.
func ExampleClient_Call() {
	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := client.Call(ctx, "Calculator.Wait", Operands{}, nil)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// Calls share the connection; each reports on the channel when it is done.
func ExampleClient_Go() {
	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	done := make(chan *geerpc.Call, 10)
	for i := range 10 {
		client.Go("Calculator.Add", Operands{i, i}, new(int), done)
	}
	total := 0
	for range 10 {
		call := <-done
		if call.Error != nil {
			log.Fatal(call.Error)
		}
		total += *call.Reply.(*int)
	}
	fmt.Println(total)
	// Output: 90
}

// A method that takes a context knows who calls and for how long it has time.
func ExamplePeerFrom() {
	server := geerpc.NewServer()
	defer server.Close()
	err := geerpc.RegisterFunc(server, "Who.AmI", func(ctx context.Context, _ string) (string, error) {
		peer, _ := geerpc.PeerFrom(ctx)
		_, limited := ctx.Deadline()
		return fmt.Sprintf("from %s, in a hurry: %v", peer.Addr.Network(), limited), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var reply string
	err = client.Call(ctx, "Who.AmI", "", &reply)
	fmt.Println(reply, err)
	// Output: from pipe, in a hurry: true <nil>
}

// A function is a method too. Both sides have their types checked.
func ExampleMethod() {
	server := geerpc.NewServer()
	defer server.Close()
	err := geerpc.RegisterFunc(server, "Calc.Sum", func(_ context.Context, numbers []int) (sum int, err error) {
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	sum := geerpc.Method[[]int, int]("Calc.Sum")
	fmt.Println(sum(context.Background(), client, []int{1, 2, 3}))
	// Output: 6 <nil>
}

// TLS is a listener on one side and a config on the other.
func ExampleOption_tls() {
	cert, pool := selfSigned("localhost")
	server := newServer()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(tls.NewListener(lis, &tls.Config{Certificates: []tls.Certificate{cert}}))
	defer server.Close()

	client, err := geerpc.Dial("tcp", lis.Addr().String(), &geerpc.Option{
		ConnectTimeout: 10 * time.Second,
		TLSConfig:      &tls.Config{RootCAs: pool, ServerName: "localhost"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	err = client.Call(context.Background(), "Calculator.Add", Operands{3, 4}, &sum)
	fmt.Println(sum, err)
	// Output: 7 <nil>
}

// selfSigned returns a certificate for name, and the pool that trusts it.
func selfSigned(name string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// A Server is an http.Handler: it shares a port with whatever else is there.
func ExampleServer_ServeHTTP() {
	server := newServer()
	defer server.Close()
	mux := http.NewServeMux()
	mux.Handle("/rpc", server)
	web := httptest.NewServer(mux)
	defer web.Close()

	client, err := geerpc.DialHTTP("tcp", web.Listener.Addr().String(), &geerpc.Option{
		ConnectTimeout: 10 * time.Second,
		HTTPPath:       "/rpc",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	err = client.Call(context.Background(), "Calculator.Add", Operands{5, 6}, &sum)
	fmt.Println(sum, err)
	// Output: 11 <nil>
}

// Any pair of marshal and unmarshal functions makes a codec.
func ExampleOption_codec() {
	const xmlType codec.Type = "application/xml"
	codec.Register(xmlType, codec.Framed(xml.Marshal, xml.Unmarshal))

	server := newServer()
	defer server.Close()
	client := dialPipe(server, geerpc.Option{CodecType: xmlType})
	defer client.Close()
	var sum int
	err := client.Call(context.Background(), "Calculator.Add", Operands{7, 8}, &sum)
	fmt.Println(sum, err)
	// Output: 15 <nil>
}

// One interceptor serves both sides.
func ExampleInterceptor() {
	logging := func(side string) geerpc.Interceptor {
		return func(next geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, serviceMethod string, args, reply any) error {
				fmt.Println(side, "begins", serviceMethod, args)
				err := next(ctx, serviceMethod, args, reply)
				fmt.Println(side, "ends with", err)
				return err
			}
		}
	}
	server := newServer()
	server.Interceptors = []geerpc.Interceptor{logging("server")}
	defer server.Close()
	client := dialPipe(server, geerpc.Option{Interceptors: []geerpc.Interceptor{logging("client")}})
	defer client.Close()
	client.Call(context.Background(), "Calculator.Divide", Operands{1, 0}, new(int))
	// Output:
	// client begins Calculator.Divide {1 0}
	// server begins Calculator.Divide {1 0}
	// server ends with 1 divided by zero
	// client ends with 1 divided by zero
}

// Metadata travels beside the arguments and beside the reply.
func ExampleMetadata() {
	server := geerpc.NewServer()
	defer server.Close()
	err := geerpc.RegisterFunc(server, "Door.Knock", func(ctx context.Context, _ string) (string, error) {
		if err := geerpc.SetReplyMetadata(ctx, "door", "3"); err != nil {
			return "", err
		}
		return "come in, " + geerpc.MetadataFrom(ctx)["user"], nil
	})
	if err != nil {
		log.Fatal(err)
	}
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	ctx := geerpc.WithMetadata(context.Background(), geerpc.Metadata{"user": "gee"})
	back := geerpc.Metadata{}
	ctx = geerpc.WithReplyMetadata(ctx, back)
	var reply string
	err = client.Call(ctx, "Door.Knock", "", &reply)
	fmt.Println(reply, back["door"], err)
	// Output: come in, gee 3 <nil>
}

// Shutdown waits for the calls under way.
func ExampleServer_Shutdown() {
	server := geerpc.NewServer()
	started, release := make(chan bool), make(chan bool)
	err := geerpc.RegisterFunc(server, "Work.Do", func(context.Context, string) (string, error) {
		started <- true
		<-release
		return "done", nil
	})
	if err != nil {
		log.Fatal(err)
	}
	client := dialPipe(server, geerpc.Option{})
	defer client.Close()

	call := client.Go("Work.Do", "", new(string), nil)
	<-started
	time.AfterFunc(10*time.Millisecond, func() { close(release) })

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println("shutdown:", server.Shutdown(ctx))
	<-call.Done
	fmt.Println("call:", *call.Reply.(*string), call.Error)
	// Output:
	// shutdown: <nil>
	// call: done <nil>
}

// A network inside the process, for tests.
func ExamplePipeListener() {
	server := newServer()
	lis := geerpc.NewPipeListener()
	go server.Serve(lis)
	defer server.Close()

	client, err := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var sum int
	err = client.Call(context.Background(), "Calculator.Add", Operands{9, 9}, &sum)
	fmt.Println(sum, err)
	// Output: 18 <nil>
}

// A plugin is a child process that serves on its standard input and output.
// Here two pipes stand for those: the host would take them from
// exec.Cmd.StdinPipe and StdoutPipe, the plugin has os.Stdin and os.Stdout.
func ExampleNewConn() {
	type stdio struct {
		io.Reader
		io.WriteCloser
	}
	stdin, toPlugin := io.Pipe()
	fromPlugin, stdout := io.Pipe()

	// the plugin
	go newServer().ServeConn(stdio{stdin, stdout})

	// the host
	client, err := geerpc.NewClient(geerpc.NewConn(stdio{fromPlugin, toPlugin}), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() // closes toPlugin, at whose end the plugin ends
	var sum int
	err = client.Call(context.Background(), "Calculator.Add", Operands{9, 9}, &sum)
	fmt.Println(sum, err)
	// Output: 18 <nil>
}
