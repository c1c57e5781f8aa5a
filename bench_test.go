package geerpc

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// serverKind is the environment variable that makes the test binary a server.
const serverKind = "GEERPC_BENCHMARK_SERVER"

// serveBenchmark is the server's half of the benchmarks: a process of its own,
// so that the client's figures are the client's.
func serveBenchmark() {
	kind := os.Getenv(serverKind)
	if kind == "" {
		return
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(lis.Addr())
	if kind == "net/rpc" {
		rpc.Register(new(Small))
		rpc.Accept(lis)
	} else {
		Register(new(Small))
		Accept(lis)
	}
	os.Exit(1)
}

// Small is the service of the benchmarks, fit for both libraries.
type Small int

// Add adds.
func (*Small) Add(args Args, reply *Reply) error {
	reply.C = args.A + args.B
	return nil
}

// startServer starts this binary again as a server and returns its address.
func startServer(b *testing.B, kind string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverKind+"="+kind)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// BenchmarkVersus measures net/rpc and this package side by side, gob on both,
// callers sharing one connection.
func BenchmarkVersus(b *testing.B) {
	theirs, ours := startServer(b, "net/rpc"), startServer(b, "geerpc")
	for _, callers := range []int{1, 16, 128, 1024} {
		b.Run(fmt.Sprintf("callers=%d/lib=netrpc", callers), func(b *testing.B) {
			client, err := rpc.Dial("tcp", theirs)
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			measure(b, callers, func(args *Args, reply *Reply) error {
				return client.Call("Small.Add", args, reply)
			})
		})
		b.Run(fmt.Sprintf("callers=%d/lib=geerpc", callers), func(b *testing.B) {
			client, err := Dial("tcp", ours)
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			measure(b, callers, func(args *Args, reply *Reply) error {
				return client.Call(context.Background(), "Small.Add", args, reply)
			})
		})
	}
}

// measure has callers make calls, one after the other each.
func measure(b *testing.B, callers int, call func(*Args, *Reply) error) {
	b.ReportAllocs()
	one := func(i int, args *Args, reply *Reply) {
		*args, *reply = Args{i, 1}, Reply{}
		if err := call(args, reply); err != nil || reply.C != i+1 {
			b.Errorf("%d + 1 = %d, %v", i, reply.C, err)
		}
	}
	if callers == 1 {
		var args Args
		var reply Reply
		for i := 0; b.Loop(); i++ {
			one(i, &args, &reply)
		}
	} else {
		procs := runtime.GOMAXPROCS(0)
		b.SetParallelism((callers + procs - 1) / procs)
		b.RunParallel(func(pb *testing.PB) {
			var args Args
			var reply Reply
			for i := 0; pb.Next(); i++ {
				one(i, &args, &reply)
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
