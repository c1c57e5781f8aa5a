package registry

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestF217_BeatsKeepTheirConnection from one to the next, but not for ever: who
// knows where the registry's name leads. The goodbye ends it.
func TestF217_BeatsKeepTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ interval, low, high time.Duration }{
			{time.Second, 26 * time.Second, 31 * time.Second},
			{10 * time.Second, 18 * time.Second, 31 * time.Second},
			{time.Minute, 54 * time.Second, 66 * time.Second},
		} {
			last := time.Now()
			w := &wire{handler: New(0), fault: func(n int, req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodDelete && !req.Close {
					t.Error("the connection outlives the goodbye")
				}
				if req.Close && req.Method == http.MethodPost {
					if age := time.Since(last); n > 0 && age != 0 && (age < c.low || age > c.high) {
						t.Errorf("every %s: the connection was %s old", c.interval, age)
					}
					last = time.Now()
				}
				return nil, nil
			}}
			reg := heartbeat(w.client(), "http://registry", "tcp@a:1", c.interval)
			time.Sleep(10 * time.Minute)
			reg.Close()
		}
	})
}

// TestF217_ConnectionClosedMeanwhile: a beat finds that the registry has closed
// the connection, and is sent again at once.
func TestF217_ConnectionClosedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(0)
		var beats atomic.Int64
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			beats.Add(1)
			if req.Header.Get("Idempotency-Key") != "" {
				t.Error("the key is sent")
			}
			r.ServeHTTP(w, req)
		}))
		web.Listener.Close()
		lis := geerpc.NewPipeListener()
		web.Listener = lis
		web.Start()
		defer web.Close()
		transport := &http.Transport{DialContext: lis.DialContext}
		defer transport.CloseIdleConnections()
		reg := heartbeat(&http.Client{Transport: transport}, web.URL, "tcp@a:1", time.Second)
		begin := time.Now()
		for n := range int64(3) {
			eventually(t, "a beat", func() bool { return beats.Load() > n })
			web.CloseClientConnections()
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("three beats took %v", took)
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestServe_TLSListener is registered as what it is.
func TestServe_TLSListener(t *testing.T) {
	plain := &listener{accepting: make(chan struct{}), closed: make(chan struct{})}
	for want, lis := range map[string]net.Listener{"tcp@10.0.0.1:9999": plain, "tls@10.0.0.1:9999": tls.NewListener(plain, &tls.Config{})} {
		c, err := Config{Registries: []string{"http://registry"}}.forServer(lis)
		if err != nil || c.Addr != want {
			t.Errorf("%T: %q, %v", lis, c.Addr, err)
		}
	}
	c, err := Config{Registries: []string{"http://registry"}, Addr: "tcp@name:1"}.forServer(tls.NewListener(plain, &tls.Config{}))
	if err != nil || c.Addr != "tcp@name:1" {
		t.Errorf("%q, %v", c.Addr, err)
	}
}

// BenchmarkBeatsTLS is the CPU of a beat over https, of both sides, with a
// connection for each and with one that is kept.
func BenchmarkBeatsTLS(b *testing.B) {
	web := httptest.NewTLSServer(New(0))
	defer web.Close()
	for _, name := range []string{"new", "kept", "usual"} {
		b.Run(name, func(b *testing.B) {
			c := Config{Addr: "tcp@a:1", Interval: 10 * time.Second, Client: web.Client()}
			s := &sender{Config: c, url: web.URL, instance: newInstance(), connected: time.Now()}
			for i := 0; b.Loop(); i++ {
				switch {
				case name == "kept", name == "usual" && i%3 != 0:
					s.connected = time.Now()
				default:
					s.connected = time.Time{}
				}
				if err := s.send(b.Context(), http.MethodPost); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
