package page

import (
	"bytes"
	_ "embed" // the script
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// live.js asks for the page as a stream of events, and shows each.
//
//go:embed live.js
var liveScript string

const (
	eventEvery = time.Second
	eventLate  = 4 * time.Second  // so long apart are the events of a page that is slow to make; live.js waits for 5
	eventShare = 10               // of the time, one part in so many goes into making the events of a stream
	maxStream  = 15 * time.Second // so long a stream may keep an http.Server from shutting down; the browser begins another
	maxStreams = 16               // of a page
	eventWrite = 10 * time.Second // to send an event

	soon  = time.Second // when a browser begins another stream
	later = 4 * time.Second
)

// streams counts the streams of a page.
type streams struct{ open atomic.Int64 }

// Stream answers a request with the page as server-sent events: now, and then once a
// second, each time with what data returns then; less often if the page takes long to make.
// It ends with the request's context, or after a while. If too many streams are open, it
// ends at once, and the browser asks again later.
//
// See https://html.spec.whatwg.org/multipage/server-sent-events.html.
func (p *Page) Stream(w http.ResponseWriter, req *http.Request, data func() any) error {
	defer p.streams.open.Add(-1)
	retry, length := soon, maxStream
	if p.streams.open.Add(1) > maxStreams {
		retry, length = later, 0
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	if req.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // its deadline for writing is used up
	}
	if req.Method == http.MethodHead {
		return nil
	}
	for end := time.Now().Add(length); ; {
		var body bytes.Buffer
		begun := time.Now()
		if err := p.template.Execute(&body, data()); err != nil {
			return err
		}
		pause := min(max(eventEvery, eventShare*time.Since(begun)), eventLate)
		control.SetWriteDeadline(time.Now().Add(eventWrite)) // an error means that there can be none
		if _, err := w.Write(event(body.Bytes(), retry)); err != nil {
			return nil // the browser has gone
		}
		if control.Flush() != nil || !time.Now().Before(end) {
			return nil // without Flush, a handler around this one keeps what is written until we return
		}
		select {
		case <-time.After(pause):
		case <-req.Context().Done():
			return nil
		}
	}
}

// event returns a text as an event. The browser is told when to come back if the stream
// ends.
func event(text []byte, retry time.Duration) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "retry: %d\n", retry.Milliseconds())
	for line := range bytes.Lines(text) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
