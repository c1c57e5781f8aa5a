package geerpc

import (
	"context"
	"net"
	"net/rpc"
	"testing"
	"sync"
	"fmt"
	"time"
	"runtime"
	"os"
	"os/exec"
	"bufio"
	"strings"
)

type Arith int
type Args struct{ A, B int }
type Reply struct{ C int }

func (Arith) Add(a *Args, r *Reply) error { r.C = a.A + a.B; return nil }
func (Arith) Sleep(ctx context.Context, a *Args, r *Reply) error {
	select { case <-time.After(time.Duration(a.A)*time.Millisecond): case <-ctx.Done(): return ctx.Err() }
	return nil
}

func TestSmoke(t *testing.T) {
	for _, ct := range []string{"application/gob", "application/json"} {
	for _, legacy := range []bool{false, true} {
		s := NewServer()
		if err := s.Register(new(Arith)); err != nil { t.Fatal(err) }
		l, _ := net.Listen("tcp", "127.0.0.1:0")
		go s.Accept(l)
		c, err := Dial("tcp", l.Addr().String(), &Option{CodecType: "application/gob", Legacy: legacy, ConnectTimeout: time.Second})
		if err != nil { t.Fatal(ct, legacy, err) }
		var r Reply
		if err := c.Call(context.Background(), "Arith.Add", &Args{1, 2}, &r); err != nil || r.C != 3 { t.Fatal(err, r) }
		if err := c.Call(context.Background(), "Arith.Nope", &Args{1, 2}, &r); err == nil { t.Fatal() } else { t.Log(err) }
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		if err := c.Call(ctx, "Arith.Sleep", &Args{1000, 2}, &r); err == nil { t.Fatal() } else { t.Log(err) }
		cancel()
		var wg sync.WaitGroup
		for i := range 100 { wg.Add(1); go func() { defer wg.Done(); var r Reply; if err := c.Call(context.Background(), "Arith.Add", &Args{i, 2}, &r); err != nil || r.C != i+2 { t.Error(err, r) } }() }
		wg.Wait()
		sctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := s.Shutdown(sctx); err != nil { t.Fatal(err) }
		cancel()
		c.Close()
	}}
	time.Sleep(10*time.Millisecond)
	if n := runtime.NumGoroutine(); n > 3 { buf := make([]byte, 1<<16); t.Log(string(buf[:runtime.Stack(buf, true)])); t.Fatal(n) }
}

type NArith int
func (NArith) Add(a *Args, r *Reply) error { r.C = a.A + a.B; return nil }

func TestMain(m *testing.M) {
	if k := os.Getenv("GEERPC_BENCH_SERVER"); k != "" {
		l, _ := net.Listen("tcp", "127.0.0.1:0")
		fmt.Println(l.Addr())
		if k == "net" { rpc.RegisterName("Arith", new(NArith)); rpc.Accept(l) } else { Register(new(Arith)); Accept(l) }
	}
	os.Exit(m.Run())
}

func startBench(b *testing.B, k string) (string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GEERPC_BENCH_SERVER="+k)
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil { b.Fatal(err) }
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line)
}

func BenchmarkVersus(b *testing.B) {
	addrG, addrN := startBench(b, "gee"), startBench(b, "net")
	for _, n := range []int{1, 16, 128, 1024} {
		b.Run(fmt.Sprintf("netrpc/%d", n), func(b *testing.B) {
			c, err := rpc.Dial("tcp", addrN); if err != nil { b.Fatal(err) }
			defer c.Close()
			run(b, n, func(a *Args, r *Reply) error { return c.Call("Arith.Add", a, r) })
		})
		b.Run(fmt.Sprintf("geerpc/%d", n), func(b *testing.B) {
			c, err := Dial("tcp", addrG); if err != nil { b.Fatal(err) }
			defer c.Close()
			run(b, n, func(a *Args, r *Reply) error { return c.Call(context.Background(), "Arith.Add", a, r) })
		})
	}
}

func run(b *testing.B, n int, f func(*Args, *Reply) error) {
	b.ReportAllocs()
	b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
	if n == 1 {
		a, r := &Args{1,2}, &Reply{}
		for b.Loop() { if err := f(a, r); err != nil { b.Fatal(err) } }
		return
	}
	b.RunParallel(func(pb *testing.PB) { a, r := &Args{1,2}, &Reply{}; for pb.Next() { if err := f(a, r); err != nil { b.Error(err); return } } })
}
