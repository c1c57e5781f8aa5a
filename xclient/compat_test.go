package xclient_test

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/leak"
	"geerpc/registry"
	"geerpc/xclient"
)

// programVariable has the test binary be a program written for GeeRPC instead:
// one that never stops its servers and heartbeats, and so needs a process of
// its own.
const programVariable = "GEERPC_TEST_PROGRAM"

// TestMain runs the program, or the tests, which leave no goroutine behind.
func TestMain(m *testing.M) {
	switch os.Getenv(programVariable) {
	case "static list":
		staticProgram()
	case "registry":
		registryProgram()
	default:
		leak.Main(m)
	}
}

// What follows uses the API in the way of the mains of GeeRPC's sixth and
// seventh day, and nothing that those did not have.

// Calc is the service.
type Calc int

// Pair is what it works on.
type Pair struct{ X, Y int }

// Plus adds.
func (c Calc) Plus(p Pair, sum *int) error {
	*sum = p.X + p.Y
	return nil
}

// Nap adds, after X fifths of a second.
func (c Calc) Nap(p Pair, sum *int) error {
	time.Sleep(time.Duration(p.X) * time.Second / 5) // a process of its own, over real sockets
	*sum = p.X + p.Y
	return nil
}

func runServer(addrs chan<- string) {
	var calc Calc
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := geerpc.NewServer()
	if err := server.Register(&calc); err != nil {
		log.Fatal(err)
	}
	addrs <- l.Addr().String()
	server.Accept(l)
}

func runRegisteredServer(registryAddr string, ready *sync.WaitGroup) {
	var calc Calc
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := geerpc.NewServer()
	_ = server.Register(&calc)
	registry.Heartbeat(registryAddr, "tcp@"+l.Addr().String(), 0)
	ready.Done()
	server.Accept(l)
}

func runRegistry(addr chan<- string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	registry.HandleHTTP()
	addr <- "http://" + l.Addr().String() + "/_geerpc_/registry"
	_ = http.Serve(l, nil)
}

func report(xc *xclient.XClient, ctx context.Context, how, serviceMethod string, p *Pair) {
	var sum int
	var err error
	switch how {
	case "call":
		err = xc.Call(ctx, serviceMethod, p, &sum)
	case "broadcast":
		err = xc.Broadcast(ctx, serviceMethod, p, &sum)
	}
	if err != nil {
		log.Printf("%s %s %d: error: %q", how, serviceMethod, p.X, err)
	} else {
		log.Printf("%s %s %d: %d", how, serviceMethod, p.X, sum)
	}
}

func callAll(d xclient.Discovery) {
	xc := xclient.NewXClient(d, xclient.RandomSelect, nil)
	defer func() { _ = xc.Close() }()
	var wg sync.WaitGroup
	for i := 0; i < 5; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			report(xc, context.Background(), "call", "Calc.Plus", &Pair{X: i, Y: i * i})
		}(i)
	}
	wg.Wait()
}

func broadcastAll(d xclient.Discovery) {
	xc := xclient.NewXClient(d, xclient.RoundRobinSelect, nil)
	defer func() { _ = xc.Close() }()
	var wg sync.WaitGroup
	for i := 0; i < 5; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			report(xc, context.Background(), "broadcast", "Calc.Plus", &Pair{X: i, Y: i * i})
			ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
			defer cancel()
			report(xc, ctx, "broadcast", "Calc.Nap", &Pair{X: i, Y: i * i})
		}(i)
	}
	wg.Wait()
}

func staticProgram() {
	log.SetFlags(0)
	first, second := make(chan string), make(chan string)
	go runServer(first)
	go runServer(second)
	servers := []string{"tcp@" + <-first, "tcp@" + <-second}
	callAll(xclient.NewMultiServerDiscovery(servers))
	broadcastAll(xclient.NewMultiServerDiscovery(servers))
}

func registryProgram() {
	log.SetFlags(0)
	addr := make(chan string)
	go runRegistry(addr)
	registryAddr := <-addr
	var ready sync.WaitGroup
	ready.Add(2)
	go runRegisteredServer(registryAddr, &ready)
	go runRegisteredServer(registryAddr, &ready)
	ready.Wait()
	callAll(xclient.NewGeeRegistryDiscovery(registryAddr, 0))
	broadcastAll(xclient.NewGeeRegistryDiscovery(registryAddr, 0))
}

// TestProgramsWrittenForGeeRPC: each line must be there once, and no other.
func TestProgramsWrittenForGeeRPC(t *testing.T) {
	var want []string
	for i := range 5 {
		sum := i + i*i
		want = append(want, fmt.Sprintf(`^call Calc\.Plus %d: %d$`, i, sum), fmt.Sprintf(`^broadcast Calc\.Plus %d: %d$`, i, sum))
		if i < 2 {
			want = append(want, fmt.Sprintf(`^broadcast Calc\.Nap %d: %d$`, i, sum))
		} else if i > 2 { // 2 takes almost as long as it may
			want = append(want, fmt.Sprintf(`^broadcast Calc\.Nap %d: error: "tcp@.*deadline exceeded.*\\ntcp@`, i))
		}
	}
	for _, program := range []string{"static list", "registry"} {
		t.Run(program, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), programVariable+"="+program)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(want)+1 {
				t.Errorf("%d lines, want %d", len(lines), len(want)+1)
			}
			for _, pattern := range want {
				if !slices.ContainsFunc(lines, regexp.MustCompile(pattern).MatchString) {
					t.Errorf("missing: %s", pattern)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

// serveOriginal accepts connections as GeeRPC's original server does, with its
// Calc.Plus. It reads the Option with a decoder that is forgotten, sends no
// acknowledgement, and answers a method without a dot before its body.
func serveOriginal(lis net.Listener) {
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		go func() { // ends with the connection
			defer conn.Close()
			var opt struct{ MagicNumber int }
			if json.NewDecoder(conn).Decode(&opt) != nil || opt.MagicNumber != geerpc.MagicNumber {
				return
			}
			cc := gobPair{gob.NewEncoder(conn), gob.NewDecoder(conn)}
			for cc.answer() == nil {
			}
		}()
	}
}

type gobPair struct {
	*gob.Encoder
	*gob.Decoder
}

func (cc gobPair) answer() error {
	var h struct {
		ServiceMethod string
		Seq           uint64
		Error         string
	}
	if err := cc.Decode(&h); err != nil {
		return err
	}
	var p Pair
	var reply any = struct{}{}
	if h.ServiceMethod != "Calc.Plus" {
		h.Error = "rpc server: service/method request ill-formed: " + h.ServiceMethod
	} else if err := cc.Decode(&p); err != nil {
		return err
	} else {
		reply = p.X + p.Y
	}
	if err := cc.Encode(h); err != nil {
		return err
	}
	return cc.Encode(reply)
}

// TestB105_OldRegistryAndServers calls servers of GeeRPC's original version,
// which a registry of that version lists, without saying that they are old.
func TestB105_OldRegistryAndServers(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			var addrs []string
			for range servers {
				lis, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() { defer close(ended); serveOriginal(lis) }()
				t.Cleanup(func() { lis.Close(); <-ended })
				addrs = append(addrs, "tcp@"+lis.Addr().String())
			}
			old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Geerpc-Servers", strings.Join(addrs, ","))
			}))
			t.Cleanup(old.Close)
			d := xclient.NewGeeRegistryDiscovery(old.URL, 0)
			t.Cleanup(func() { d.Close() })
			xc := xclient.NewXClient(d, xclient.RoundRobinSelect, &geerpc.Option{ConnectTimeout: 3 * time.Second})
			t.Cleanup(func() { xc.Close() })
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					var sum int
					if err := xc.Call(t.Context(), "Calc.Plus", Pair{i, 1}, &sum); err != nil || sum != i+1 {
						t.Errorf("%d + 1 = %d, %v", i, sum, err)
					}
				})
			}
			wg.Wait()
			var sum int
			if err := xc.Broadcast(t.Context(), "Calc.Plus", Pair{1, 2}, &sum); err != nil || sum != 3 {
				t.Errorf("broadcast: %d, %v", sum, err)
			}
		})
	}
}

// TestD131_DialersOfAnXClient has the Dialer return nothing, panic and exit on
// the goroutines that connect in the background: calls fail, no process ends.
func TestD131_DialersOfAnXClient(t *testing.T) {
	for name, dial := range map[string]func() net.Conn{
		"nothing": func() net.Conn { return nil },
		"panic":   func() net.Conn { panic("no dial tone") },
		"exit":    func() net.Conn { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			opt := &geerpc.Option{Dialer: func(context.Context, string, string) (net.Conn, error) { return dial(), nil }}
			xc := xclient.NewXClient(xclient.NewMultiServerDiscovery([]string{"tcp@a:1", "tcp@b:1"}), xclient.RandomSelect, opt)
			defer xc.Close()
			var sum int
			err := xc.Call(t.Context(), "Calc.Plus", Pair{}, &sum)
			var e *geerpc.Error
			if !errors.As(err, &e) || e.Ran != geerpc.RanNever {
				t.Error(err)
			}
		})
	}
}
