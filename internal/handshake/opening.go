package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"geerpc/internal/link"
)

// What may knock at a server's door besides a client of ours.

// errNoHandshake is why a server rejects what does not begin like a hello.
var errNoHandshake = errors.New("not a geerpc handshake")

// An opening is how the clients of another protocol begin.
type opening struct {
	name   string
	begins []string // with one of these,
	has    string   // or with this among the first bytes
	answer string   // that tells the client what it has met; empty: nothing would
}

// openings are those that are known by their first bytes, of which as few as 5 may be at
// hand.
var openings = []opening{
	{name: "an HTTP request", answer: httpAnswer,
		begins: []string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH", "DELET", "CONNE", "OPTIO", "TRACE", "PRI "}},
	{name: "a TLS handshake", answer: NoTLS + `,"Error":"this port has no TLS"}` + "\n", begins: []string{"\x16\x03"}},
	{name: "a net/rpc client", has: "\x07Request"}, // the type with which its gob stream begins
	{name: "a geerpc client", begins: []string{`{"Mag`}},
}

const (
	// NoTLS is how a server without TLS begins to answer a TLS handshake.
	NoTLS = `{"OK":false`

	// NoHTTP is the status with which a server that is not behind HTTP answers a request.
	NoHTTP = "400 This is geerpc without HTTP"

	httpAnswer = "HTTP/1.1 " + NoHTTP + "\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
		"This port speaks geerpc's own protocol, without HTTP. Clients reach it with geerpc.Dial, or at tcp@host:port.\n"
)

// openingOf returns the opening that the first bytes of a connection are, or nil.
func openingOf(first []byte) *opening {
	for i := range openings {
		o := &openings[i]
		if o.has != "" && bytes.Contains(first, []byte(o.has)) {
			return o
		}
		for _, text := range o.begins {
			if bytes.HasPrefix(first, []byte(text)) {
				return o
			}
		}
	}
	return nil
}

// NameOpening names the protocol that begins with the first bytes of a connection, empty
// if it is not known.
func NameOpening(first []byte) string {
	if o := openingOf(first); o != nil {
		return o.name
	}
	return ""
}

// rejectOpening returns the error for a connection that does not begin like a hello, and
// tells the client what it has met, if it may understand.
func rejectOpening(l *link.Link) error {
	first := bytes.Clone(l.In.Buffered()[:min(len(l.In.Buffered()), 16)])
	o := openingOf(first)
	if o == nil {
		return fmt.Errorf("%w: it begins with %q", errNoHandshake, first)
	}
	if o.answer != "" {
		answerOpening(l, o.answer)
	}
	return fmt.Errorf("%w: %s, which begins with %q", errNoHandshake, o.name, first)
}

// hangUpTime is how long a client that has been answered has to hang up.
const hangUpTime = time.Second

// answerOpening sends an answer, and drops what comes until the client hangs up: to close
// a connection with unread bytes would reset it, and the answer could be lost.
func answerOpening(l *link.Link, answer string) {
	timer := time.AfterFunc(hangUpTime, func() { l.Fail(errNoHandshake) })
	defer timer.Stop()
	if l.Say([]byte(answer)) != nil {
		return
	}
	l.Out.Drain(l.Context())
	l.CloseWrite()
	for err := error(nil); err == nil; _, err = l.In.Peek(1) {
		l.In.Discard(len(l.In.Buffered()))
	}
}
