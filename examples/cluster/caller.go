package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/xclient"
)

// callTimeout is far more than a call takes, even when it has to be made again.
const callTimeout = 5 * time.Second

// newXClient returns what a program calls a cluster with. By default it
// balances the load, keeps away from servers that are gone, and makes calls
// again where that is safe. Against servers that hang, rather than die, there is
// Hedge.
func newXClient(d xclient.Discovery) *xclient.XClient {
	return xclient.New(d, xclient.Config{Timeout: callTimeout})
}

// price calls a method that may run twice, and says so.
func price(xc *xclient.XClient, id int) (server string, err error) {
	ctx := xclient.Idempotent(context.Background())
	err = xc.Call(ctx, "Orders.Price", id, &server)
	return server, err
}

// place calls a method that must not run twice. Such a call is made again only
// when it certainly never ran.
func place(xc *xclient.XClient, id int) (server string, err error) {
	err = xc.Call(context.Background(), "Orders.Place", id, &server)
	return server, err
}

// A load is many goroutines that call at a steady pace, however long each call
// takes.
type load struct {
	xc     *xclient.XClient
	every  time.Duration // between two calls of one goroutine
	ids    atomic.Int64
	served map[string]*atomic.Int64 // calls that succeeded, by server
	failed atomic.Int64

	cancel  context.CancelFunc // ends the calling, not the calls
	wg      sync.WaitGroup     // the goroutines
	records [][]record         // what each has seen
}

// A record is what became of a call.
type record struct {
	id     int
	placed bool // by place: it is not idempotent
	end    time.Time
	took   time.Duration // since the call was due
	err    error
}

// startLoad begins to call, rate times a second in all.
func startLoad(d xclient.Discovery, callers, rate int) *load {
	l := &load{
		xc:      newXClient(d),
		every:   time.Second * time.Duration(callers) / time.Duration(rate),
		served:  make(map[string]*atomic.Int64),
		records: make([][]record, callers),
	}
	for _, name := range serverNames {
		l.served[name] = new(atomic.Int64)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	begin := time.Now()
	for i := range callers {
		due := begin.Add(l.every * time.Duration(i) / time.Duration(callers))
		l.wg.Go(func() { l.calls(ctx, due, &l.records[i]) }) // ends with stop, which waits
	}
	return l
}

// stop ends the load and returns what became of all calls. It may be called
// again.
func (l *load) stop() []record {
	l.cancel()
	l.wg.Wait()
	l.xc.Close()
	var all []record
	for _, records := range l.records {
		all = append(all, records...)
	}
	return all
}

// calls makes the calls of one goroutine, the first when it is due.
func (l *load) calls(ctx context.Context, due time.Time, records *[]record) {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		*records = append(*records, l.call(due))
		due = due.Add(l.every)
		timer.Reset(time.Until(due))
	}
}

// call makes one call, of one method or the other.
func (l *load) call(due time.Time) record {
	r := record{id: int(l.ids.Add(1))}
	var server string
	if r.placed = r.id%2 == 0; r.placed {
		server, r.err = place(l.xc, r.id)
	} else {
		server, r.err = price(l.xc, r.id)
	}
	r.end = time.Now()
	r.took = r.end.Sub(due)
	if r.err != nil {
		l.failed.Add(1)
	} else {
		l.served[server].Add(1)
	}
	return r
}
