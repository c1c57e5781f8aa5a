package main

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLibraries has each library make a hundred calls of either kind, by one
// caller and by several at a time, and checks the replies.
func TestLibraries(t *testing.T) {
	for _, lib := range libraries() {
		t.Run(lib.name, func(t *testing.T) {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			// The servers go on until the test process ends: most of these
			// libraries have no orderly end.
			go lib.serve(lis)
			if lib.name == "raw-window" {
				testWindow(t, lib, lis.Addr().String())
				return
			}
			for _, callers := range []int{1, 4} {
				for _, work := range workNames() {
					if !lib.does(work) {
						continue
					}
					hundredCalls(t, lib, lis.Addr().String(), work, callers)
				}
			}
		})
	}
}

func hundredCalls(t *testing.T, lib library, addr, work string, callers int) {
	conn, err := lib.dial(addr, callers)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var wg sync.WaitGroup
	var tasks []func(int) error
	for range callers {
		call, err := task(work, conn.caller())
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, call)
	}
	calls := 100 / callers
	if payloads[work] > 1<<10 {
		calls = 2
	}
	for _, call := range tasks {
		wg.Go(func() {
			for n := range calls {
				if err := call(n); err != nil {
					t.Errorf("%s, %d callers, call %d: %v", work, callers, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// testWindow is for the library that has no callers.
func testWindow(t *testing.T, lib library, addr string) {
	for _, callers := range []int{1, 4} {
		for _, work := range rawWindow().only {
			conn, err := lib.dial(addr, callers)
			if err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			n, _, err := conn.(looper).loop(work)(3, 25, &stop)
			if err != nil || n != 25*callers {
				t.Errorf("%s, %d callers: %d calls, %v", work, callers, n, err)
			}
			conn.Close()
		}
	}
	w := window{work: small, args: []int{5}}
	if w.check(0, putArgs(nil, 4, 7)) == nil || w.check(0, nil) == nil {
		t.Error("a wrong reply was accepted")
	}
}

// TestTaskNotices checks that wrong replies are noticed.
func TestTaskNotices(t *testing.T) {
	for _, work := range workNames() {
		call, err := task(work, liar{})
		if err != nil {
			t.Fatal(err)
		}
		if call(1) == nil {
			t.Errorf("%s: a wrong reply was accepted", work)
		}
	}
	if _, err := task("none", liar{}); err == nil {
		t.Error("unknown work was accepted")
	}
}

type liar struct{}

func (liar) add(a, b int) (int, error)        { return 0, nil }
func (liar) addInTime(a, b int) (int, error)  { return 0, nil }
func (liar) order(int) error                  { return errOrder(true, false) }
func (liar) echo(data []byte) ([]byte, error) { return data[:len(data)-1], nil }
