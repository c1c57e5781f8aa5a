package geerpc

import (
	"testing"
	"testing/synctest"
)

type workFunc func()

func (f workFunc) work() { f() }

// Workers that have been released are not kept until their next trim, and what
// they are part of with them.
func TestWorkers_Release(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w workers
		w.run(workFunc(func() {}))
		synctest.Wait()
		if w.timer == nil || len(w.idle) != 1 {
			t.Fatal("no worker is idle, with a timer")
		}
		timer := w.timer
		w.release()
		synctest.Wait()
		if w.timer != nil || timer.Stop() {
			t.Error("a timer has the workers")
		}
	})
}
