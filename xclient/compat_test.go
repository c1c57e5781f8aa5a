package xclient_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
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
	time.Sleep(time.Duration(p.X) * time.Second / 5)
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
