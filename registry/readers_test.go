package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

// large returns a registry whose list is about 11.5 MiB of JSON, of 16,384
// servers, and a change of it.
func large(t testing.TB) (r *GeeRegistry, change func()) {
	t.Helper()
	r = New(0)
	r.Grace = -1
	say := "k=" + strings.Repeat("v", 560)
	for i := range maxServers {
		request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250), registryapi.VersionHeader, "1", registryapi.MetadataHeader, say)
	}
	weight := 1
	return r, func() {
		weight = weight%9 + 1
		resp := request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@10.0.0.1:9999", registryapi.VersionHeader, "1", registryapi.MetadataHeader, say, registryapi.WeightHeader, fmt.Sprint(weight))
		if resp.StatusCode != http.StatusOK {
			t.Error(resp.Status)
		}
	}
}

func heapMiB() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse >> 20
}

// TestF216_ReadersThatDoNotRead: each asks for another list, and leaves its
// answer where it is. The registry keeps a few of them, and those who read get
// theirs.
func TestF216_ReadersThatDoNotRead(t *testing.T) {
	r, change := large(t)
	web := httptest.NewServer(r)
	defer web.Close()
	before := heapMiB()
	for i := range 45 {
		change()
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "GET %s?format=%s HTTP/1.1\r\nHost: registry\r\n\r\n", registryapi.DefaultPath, []string{"json", "text", "json"}[i%3])
		if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil { // it is being answered
			t.Fatal(err)
		}
	}
	after := heapMiB()
	t.Logf("the heap has %d MiB, and %d MiB with 45 answers that nobody reads", before, after)
	if after > 150 {
		t.Errorf("the heap has %d MiB, before %d MiB", after, before)
	}
	resp, err := http.Get(web.URL + "?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if l := read(t, resp); len(l.Servers) != maxServers {
		t.Errorf("%d servers are told", len(l.Servers))
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestF216_BodyThatNeverComes: the request is answered, and its connection
// closed in time, though no limit is set at the http.Server.
func TestF216_BodyThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := geerpc.NewPipeListener()
		web := &http.Server{Handler: New(0)}
		var served sync.WaitGroup
		served.Go(func() { web.Serve(lis) })
		for _, method := range []string{"GET", "POST", "DELETE", "PUT"} {
			conn, err := lis.DialContext(t.Context(), "pipe", "registry")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: registry\r\nX-Geerpc-Server: tcp@a:1\r\nContent-Length: 10\r\n\r\n", method)
			conn.SetReadDeadline(begin.Add(bodyLimit + 10*time.Second))
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
		web.Close()
		served.Wait()
	})
}

// A lateReader notes that it was cut off.
type lateReader struct {
	*httptest.ResponseRecorder
	cut bool
}

func (l *lateReader) SetWriteDeadline(time.Time) error {
	l.cut = true
	return nil
}

// TestF216_OldestAreCutOff: over a while, with a change and a reader each second
// that doesn't end, lists stay bounded and become new all the same, and no reader
// is cut off before it has had some time.
func TestF216_OldestAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, change := large(t)
		began := make(map[*lateReader]time.Time)
		for range 45 {
			change()
			late := &lateReader{ResponseRecorder: httptest.NewRecorder()}
			l := r.acquireList(http.NewResponseController(late), false)
			began[late] = time.Now()
			if age := time.Since(l.made); age > minAnswerTime {
				t.Fatalf("a list of %s ago", age)
			}
			for reader, when := range began {
				if reader.cut {
					if took := time.Since(when); took < minAnswerTime {
						t.Fatalf("cut off after %s", took)
					}
					delete(began, reader)
				}
			}
			r.answers.mu.Lock()
			n, bytes := len(r.answers.lists), r.answers.bytesInUse()
			r.answers.mu.Unlock()
			if bytes > maxAnswerBytes || n > 4 {
				t.Fatalf("%d lists, %d bytes", n, bytes)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestF217_Changes: who asks for changes gets those, if they are known and few.
func TestF217_Changes(t *testing.T) {
	r := New(0)
	for i := range 100 {
		ask(r, http.MethodPost, fmt.Sprintf("tcp@a:%d", i), "")
	}
	index := indexOf(r)
	changes := func(index uint64) string {
		resp := request(r, http.MethodGet, fmt.Sprintf("/?format=json&changes=1&wait=0s&index=%d", index))
		text, _ := io.ReadAll(resp.Body)
		var a answer
		if err := json.Unmarshal(text, &a); err != nil || resp.Header.Get(registryapi.IndexHeader) != fmt.Sprint(a.Index) || a.Index != indexOf(r) {
			t.Errorf("%s: %v, index %s", text, err, resp.Header.Get(registryapi.IndexHeader))
		}
		if a.Since != 0 && a.Since != index {
			t.Errorf("since %d, want %d", a.Since, index)
		}
		if len(a.Servers) > 50 {
			return "all"
		}
		said := fmt.Sprintf("gone %q", a.Gone)
		for _, s := range a.Servers {
			said += fmt.Sprintf(" %s %d", s.Addr, s.Weight)
		}
		return said
	}
	want := func(index uint64, want string) {
		t.Helper()
		for range 2 { // the second is one from before
			if got := changes(index); got != want {
				t.Errorf("changes since %d: %s, want %s", index, got, want)
			}
		}
	}
	want(index, "gone []")
	request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:7", registryapi.WeightHeader, "3")
	want(index, "gone [] tcp@a:7 3")
	ask(r, http.MethodDelete, "tcp@a:8", "")
	ask(r, http.MethodPost, "tcp@b:1", "")
	ask(r, http.MethodDelete, "tcp@b:1", "")
	want(index, `gone ["tcp@a:8" "tcp@b:1"] tcp@a:7 3`)
	want(index+1, `gone ["tcp@a:8" "tcp@b:1"]`)
	for _, other := range []uint64{1, 0, index - 1000, indexOf(r) + 1, 1<<64 - 1} {
		want(other, "all")
	}
	for i := range 3 * maxChanges {
		request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:7", registryapi.WeightHeader, fmt.Sprint(i%2+1))
	}
	want(index, "all")
	want(indexOf(r)-maxChanges, "gone [] tcp@a:7 2")
	if n := len(r.watch.changed); n > 2*maxChanges {
		t.Errorf("%d changes are remembered", n)
	}
}

// TestF216_ChangesAreBounded: callers that know lists of different times are told
// different changes, of which few are kept. What is too much to be told as changes
// is not written first.
func TestF216_ChangesAreBounded(t *testing.T) {
	r := New(0)
	say := "k=" + strings.Repeat("v", 80)
	put := func(i, weight int) {
		request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250), registryapi.VersionHeader, "1", registryapi.MetadataHeader, say, registryapi.WeightHeader, fmt.Sprint(weight))
	}
	for i := range 2000 {
		put(i, 1)
	}
	for w := range 16 {
		for i := range 450 {
			put(i, w+2)
		}
	}
	index := indexOf(r)
	for since := index - 2000; since <= index; since += 8 {
		text, to := r.changes(since)
		again, _ := r.changes(since)
		if to != index || text == nil || string(again) != string(text) {
			t.Fatalf("%d to %d: %d and %d bytes", since, to, len(text), len(again))
		}
	}
	sum := 0
	for _, text := range r.answers.deltas {
		sum += len(text)
	}
	if sum > maxDeltas || sum < maxDeltas/2 {
		t.Errorf("changes of %d bytes are kept", sum)
	}
	put(1, 1)
	r.notifyWatchers()
	if n := len(r.answers.deltas); n > 0 {
		t.Errorf("%d are kept that nobody asks for any more", n)
	}
	index = indexOf(r)
	for i := range 1500 {
		put(i, 19)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		if text, _ := r.changes(index); text != nil {
			t.Fatalf("%d bytes", len(text))
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 20; each > 64<<10 {
		t.Errorf("%d bytes for nothing, each time", each)
	}
}

// TestF216_OlderThanKnown: a list that is told for a while is not told at once to
// one who knows a later one, from changes.
func TestF216_OlderThanKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, change := large(t)
		for range 2 { // not read
			change()
			r.acquireList(http.NewResponseController(&lateReader{ResponseRecorder: httptest.NewRecorder()}), false)
		}
		change()
		change()
		knows := indexOf(r)
		for i := range 400 { // more than is told as changes
			request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250), registryapi.VersionHeader, "1", registryapi.MetadataHeader, "k="+strings.Repeat("w", 560))
		}
		time.Sleep(time.Second)
		resp := request(r, http.MethodGet, fmt.Sprintf("/?format=json&changes=1&wait=30s&index=%d", knows))
		if l := read(t, resp); l.Index < knows {
			t.Errorf("it knows %d, and is told %d", knows, l.Index)
		}
	})
}

// TestF217_Limits are fields.
func TestF217_Limits(t *testing.T) {
	r := New(0)
	r.MaxServers, r.MaxWatches = 2, 1
	for i, want := range []int{200, 200, 503} {
		if resp := ask(r, http.MethodPost, fmt.Sprint("tcp@a:", i), ""); resp.StatusCode != want {
			t.Errorf("server %d: %s", i, resp.Status)
		}
	}
	if !r.addWatcher() || r.addWatcher() {
		t.Error("not one watch")
	}
	r.removeWatcher()
}

// BenchmarkChange is a change of one of 16,384 servers, as told to a caller that
// asks for changes, and to one that doesn't.
func BenchmarkChange(b *testing.B) {
	r, change := large(b)
	for _, query := range []string{"", "&changes=1"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				index := indexOf(r)
				change()
				request(r, http.MethodGet, fmt.Sprintf("/?format=json&index=%d%s", index, query))
			}
		})
	}
}
