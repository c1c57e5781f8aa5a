package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"time"
)

// memoryLibraries are those whose connections are weighed.
var memoryLibraries = []string{"netrpc", "geerpc", "geerpc-framed"}

// memoryCalls is how many calls each connection makes before it is weighed for
// the second time.
const memoryCalls = 10

// largeMessage is the bytes of the message after which it is weighed what a
// connection keeps, and largeConns how many connections carry one.
const (
	largeMessage = 2_900_000
	largeConns   = 100
)

// settle is how long a server has to come to rest before it is weighed.
const settle = time.Second

// A memory is what a process holds after a garbage collection.
type memory struct {
	Heap   uint64 // bytes in live objects
	Stacks uint64 // bytes of goroutine stacks
	Sys    uint64 // bytes that the runtime has from the system, for comparison
}

// A memoryResult is what one connection costs the server, in bytes.
type memoryResult struct {
	Library string `json:"library"`
	Conns   int    `json:"conns"`
	Idle    weight `json:"idle"`  // before its first call
	After   weight `json:"after"` // after ten calls

	// What is kept of one large message, once the connection is idle again.
	KeptServer weight `json:"kept_server"`
	KeptClient weight `json:"kept_client"`
}

type weight struct {
	Heap   float64 `json:"heap"`
	Stacks float64 `json:"stacks"`
}

func (w weight) total() float64 { return w.Heap + w.Stacks }

// memory waits until the server has accepted so many connections, which a client
// need not, and weighs the process after a garbage collection. There are two: what sync.Pools hold
// goes with the second.
func (a *agent) memory(conns int) (memory, error) {
	deadline := time.Now().Add(patience / 2)
	for a.lis != nil && a.lis.accepted.Load() < int64(conns) {
		if time.Now().After(deadline) {
			return memory{}, fmt.Errorf("only %d of %d connections have come", a.lis.accepted.Load(), conns)
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(settle)
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{Heap: m.HeapAlloc, Stacks: m.StackInuse, Sys: m.Sys}, nil
}

// measureMemory weighs the connections of some of the plan's libraries.
func (p plan) measureMemory(progress io.Writer, res *results) {
	for _, name := range memoryLibraries {
		if !p.has(name) {
			continue
		}
		one, err := weigh(name, p.memoryConns)
		if err != nil {
			res.Failures = append(res.Failures, fmt.Sprintf("memory of %s: %v", name, err))
			fmt.Fprintf(progress, "memory: %-13s FAILED: %v\n", name, err)
			continue
		}
		fmt.Fprintf(progress, "memory: %-13s %d connections: %.1f KiB each, %.1f KiB after %d calls; %.1f KiB more after a large message\n",
			name, one.Conns, one.Idle.total()/1024, one.After.total()/1024, memoryCalls, one.KeptServer.total()/1024)
		res.Memory = append(res.Memory, one)
	}
}

func (p plan) has(name string) bool {
	for _, l := range p.libs {
		if l.name == name {
			return true
		}
	}
	return false
}

// weigh measures a server with one connection, which has made calls so that
// what all connections share is there, and again with many.
func weigh(name string, conns int) (memoryResult, error) {
	pair, err := startPair(order{Library: name, Conns: 1, Callers: 1, Work: small})
	if err != nil {
		return memoryResult{}, err
	}
	defer pair.end()
	if _, err := pair.client.do(order{Do: "run", Library: name, Calls: memoryCalls}); err != nil {
		return memoryResult{}, err
	}
	base, err := pair.server.do(order{Do: "memory", Conns: 1})
	if err != nil {
		return memoryResult{}, err
	}
	crowd, err := start()
	if err != nil {
		return memoryResult{}, err
	}
	defer crowd.end()
	dial := order{Do: "dial", Library: name, Address: pair.address, Conns: conns, Callers: conns, Work: small}
	if _, err := crowd.do(dial); err != nil {
		return memoryResult{}, err
	}
	idle, err := pair.server.do(order{Do: "memory", Conns: 1 + conns})
	if err != nil {
		return memoryResult{}, err
	}
	if _, err := crowd.do(order{Do: "run", Library: name, Calls: memoryCalls}); err != nil {
		return memoryResult{}, err
	}
	after, err := pair.server.do(order{Do: "memory", Conns: 1 + conns})
	if err != nil {
		return memoryResult{}, err
	}
	res := memoryResult{
		Library: name, Conns: conns,
		Idle: idle.Memory.each(base.Memory, conns), After: after.Memory.each(base.Memory, conns),
	}
	return res, res.weighKept(pair.server, crowd, after.Memory)
}

// weighKept has connections of a crowd carry a large message each, both ways,
// and weighs what the server and the crowd keep of it. Before is the server's
// weight.
func (r *memoryResult) weighKept(server, crowd *process, before memory) error {
	client, err := crowd.do(order{Do: "memory"})
	if err != nil {
		return err
	}
	conns := min(r.Conns, largeConns)
	if _, err := crowd.do(order{Do: "large", Library: r.Library, Conns: conns}); err != nil {
		return err
	}
	after, err := server.do(order{Do: "memory"})
	if err != nil {
		return err
	}
	r.KeptServer = after.Memory.each(before, conns)
	after, err = crowd.do(order{Do: "memory"})
	r.KeptClient = after.Memory.each(client.Memory, conns)
	return err
}

// carryLarge has so many connections carry a large message.
func (a *agent) carryLarge(conns int) error {
	data := bytes.Repeat([]byte("0123456789abcdef"), largeMessage/16)
	for _, c := range a.conns[:conns] {
		got, err := c.caller().echo(data)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, data) {
			return fmt.Errorf("the echo of %d bytes differs: %d bytes", len(data), len(got))
		}
	}
	return nil
}

// each shares what came after an earlier measurement among connections.
func (m memory) each(base memory, conns int) weight {
	return weight{
		Heap:   (float64(m.Heap) - float64(base.Heap)) / float64(conns),
		Stacks: (float64(m.Stacks) - float64(base.Stacks)) / float64(conns),
	}
}

// spareFiles is how many files a process has open beside its connections.
const spareFiles = 200

// raiseFiles makes sure that this process, and those it starts, may have so
// many connections open.
func raiseFiles(conns int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	want := uint64(conns + spareFiles)
	if limit.Cur >= want && limit.Max >= want {
		// The runtime raises the soft limit by itself and takes that back for
		// processes that it starts, unless the limit has been set.
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	limit.Cur, limit.Max = max(limit.Cur, want), max(limit.Max, want)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d open files are not allowed, see ulimit -n, -conns and -memory: %w", want, err)
	}
	return nil
}
