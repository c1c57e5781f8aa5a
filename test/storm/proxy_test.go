package storm

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A proxy passes connections on to a server, which may change its address, and
// does to some of them what networks do.
type proxy struct {
	lis   net.Listener
	flips bool // bits, too
	whole bool // what is sent in one piece arrives in one

	mu      sync.Mutex // guards what follows
	backend net.Addr   // nil: there is none at the moment
	conns   map[net.Conn]bool
	closed  bool

	wg sync.WaitGroup
}

func newProxy(network, address string, flips bool) (*proxy, error) {
	lis, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	p := &proxy{lis: lis, flips: flips, conns: make(map[net.Conn]bool)}
	p.wg.Go(p.accept)
	return p, nil
}

// point has new connections go to a server.
func (p *proxy) point(backend net.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = backend
}

func (p *proxy) accept() {
	for {
		conn, err := p.lis.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(conn) })
	}
}

// hold has close close conn. It reports false if that has come first.
func (p *proxy) hold(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = true
	return !p.closed
}

func (p *proxy) release(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// close returns when nothing of the proxy is left.
func (p *proxy) close() {
	p.lis.Close()
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) serve(near net.Conn) {
	defer p.release(near)
	p.mu.Lock()
	backend := p.backend
	p.mu.Unlock()
	if !p.hold(near) || backend == nil {
		return
	}
	far, err := net.DialTimeout(backend.Network(), backend.String(), time.Second)
	if err != nil {
		return
	}
	defer p.release(far)
	if !p.hold(far) {
		return
	}
	w := newWeather(p.flips, p.whole)
	var both sync.WaitGroup
	both.Go(func() { w.carry(far, near) })
	both.Go(func() { w.carry(near, far) })
	both.Wait()
}

// A weather is what befalls a connection, after some bytes in one direction.
type weather struct {
	cut, reset, flip, stall int // after so many bytes; 0: never
	delay                   time.Duration
	bytesPerSecond          int // 0: as many as there are
	piece                   int // bytes that are passed on at once, at most
}

const (
	maxPiece = 64 << 10
	minPiece = 16 << 10 // where each piece takes a while
)

// newWeather makes up a weather. However bad, it lets a crowd's parcels pass
// well within patience.
func newWeather(flips, whole bool) weather {
	w := weather{piece: maxPiece}
	if !whole {
		w.piece = 1 + rand.IntN(maxPiece)
	}
	after := func() int { return 1 + rand.IntN(1<<(8+rand.IntN(14))) }
	if flips && rand.IntN(2) == 0 {
		w.flip = after()
	}
	switch rand.IntN(10) {
	case 0:
		w.cut = after()
	case 1:
		w.reset = after()
	case 2:
		w.stall = after()
	case 3:
		w.delay, w.piece = time.Duration(rand.IntN(20))*time.Millisecond, max(w.piece, minPiece)
	case 4:
		w.bytesPerSecond, w.piece = 1<<20+rand.IntN(1<<20), max(w.piece, minPiece)
	}
	return w
}

// carry copies from one connection to another, as the weather allows, and then
// closes both, or half of one where the stream has ended.
func (w weather) carry(to, from net.Conn) {
	buf := make([]byte, w.piece)
	for passed := 0; ; {
		n, err := from.Read(buf)
		if n > 0 {
			before := passed
			passed += n
			if !w.befall(to, from, buf[:n], before, passed) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			} else {
				to.Close()
			}
			return
		}
	}
}

// befall does to bytes before to passed of the stream what is due. It reports
// false if that ends it.
func (w weather) befall(to, from net.Conn, data []byte, before, passed int) bool {
	due := func(after int) bool { return after > 0 && before < after && after <= passed }
	switch {
	case due(w.cut), due(w.reset):
		for _, conn := range []net.Conn{to, from} {
			if tcp, ok := conn.(*net.TCPConn); ok && due(w.reset) {
				tcp.SetLinger(0)
			}
			conn.Close()
		}
		return false
	case due(w.stall):
		<-time.After(time.Duration(rand.IntN(2000)) * time.Millisecond) // the weather is real
	}
	if due(w.flip) {
		data[rand.IntN(len(data))] ^= 1 << rand.IntN(8)
	}
	if w.delay > 0 {
		<-time.After(w.delay) // as is this
	}
	if w.bytesPerSecond > 0 {
		<-time.After(time.Duration(len(data)) * time.Second / time.Duration(w.bytesPerSecond)) // and this
	}
	return true
}
