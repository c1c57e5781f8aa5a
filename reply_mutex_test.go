package geerpc

import (
	"sync"
	"testing"
	"time"
)

// A lockedReply is a reply with a lock of its caller's.
type lockedReply struct {
	mu    sync.Mutex
	Value int
}

// A reply that is merged leaves what is not exported alone, if decoding has not
// changed it: here a mutex for which somebody has begun to wait meanwhile.
func TestC155_MutexInTheReply(t *testing.T) {
	var reply lockedReply
	reply.mu.Lock()
	c := copyReply(&reply)
	got := make(chan int, 1)
	go func() { // waits until the reply is there
		reply.mu.Lock()
		defer reply.mu.Unlock()
		got <- reply.Value
	}()
	time.Sleep(10 * time.Millisecond) // it waits by then, most likely
	c.target().(*lockedReply).Value = 7
	c.merge()
	reply.mu.Unlock()
	select {
	case v := <-got:
		if v != 7 {
			t.Errorf("the value is %d", v)
		}
	case <-time.After(patient):
		t.Error("the mutex has forgotten who waits for it")
	}
}

// A hiddenReply decodes itself.
type hiddenReply struct {
	n     int
	Value int
}

// What decoding has changed of what is not exported is merged.
func TestC155_HiddenFieldsThatWereDecoded(t *testing.T) {
	reply := hiddenReply{n: 1, Value: 2}
	c := copyReply(&reply)
	*c.target().(*hiddenReply) = hiddenReply{n: 3, Value: 4}
	c.merge()
	if want := (hiddenReply{n: 3, Value: 4}); reply != want {
		t.Errorf("%+v, want %+v", reply, want)
	}
}
