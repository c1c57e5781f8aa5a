// Package opening tells by the first bytes of a connection which protocol its client
// speaks.
//
//	16 03                  TLS
//	A…Z                    HTTP
//	{ or [, blanks before  JSON, of which the keys of the outermost object tell the rest
//	1…7f, and 7f or f8…ff  a gob stream, that of net/rpc: a length, and a negative number
//
// Every protocol here begins with two bytes at least, and the second byte of those before
// the last is none of a gob stream's.
package opening

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"geerpc/internal/codes"
	"geerpc/internal/handshake"
	"geerpc/internal/link"
	"geerpc/internal/wire"
)

// A Protocol is what a connection begins like.
type Protocol int

// The protocols.
const (
	Unknown Protocol = iota
	Hello            // geerpc's own protocol
	NetRPC
	JSONRPC
	HTTP
	TLS
	Other // one that the caller knows
)

// names are what the protocols, or their clients, are called.
var names = [...]string{Unknown: "an unknown protocol", Hello: "a geerpc client", NetRPC: "a net/rpc client",
	JSONRPC: "a JSON-RPC client", HTTP: "an HTTP request", TLS: "a TLS handshake", Other: "another protocol"}

// String returns the name of the protocol, or of its clients, with an article.
func (p Protocol) String() string { return names[p] }

// MaxPrefix is how many bytes an Other may begin with.
const MaxPrefix = 8

// Recognize waits until the first bytes of a connection tell what it is, and leaves them
// unread. Prefixes are those of Other protocols; which is the index of the one that was
// found. It waits for no byte more than it needs.
func Recognize(in *wire.Reader, prefixes []string) (p Protocol, which int, err error) {
	for {
		first := in.Buffered()
		which, incomplete := findPrefix(first, prefixes)
		if which >= 0 {
			return Other, which, nil
		}
		p, known := Of(first)
		switch {
		case incomplete:
		case known:
			return p, -1, nil
		case len(first) > 1 && bytes.HasPrefix(bytes.TrimLeft(first, blanks), []byte("{")):
			p, err := await(in)
			return p, -1, err
		}
		if err := in.More(); err != nil {
			if len(first) > 0 {
				err = unexpected(err)
			}
			return Unknown, -1, err
		}
	}
}

// unexpected returns err for a connection that ends within its opening.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// findPrefix returns which of the prefixes a connection begins with, or -1 and whether
// more bytes may show one.
func findPrefix(first []byte, prefixes []string) (which int, incomplete bool) {
	for i, p := range prefixes {
		if bytes.HasPrefix(first, []byte(p)) {
			return i, false
		}
		incomplete = incomplete || strings.HasPrefix(p, string(first[:min(len(first), MaxPrefix)]))
	}
	return -1, incomplete
}

// Of returns the protocol that the first bytes of a connection show, unless it takes more
// of them to know it.
func Of(first []byte) (p Protocol, known bool) {
	switch {
	case len(first) == 0:
		return Unknown, false
	case first[0] == 0 || first[0] > 0x7f:
		return Unknown, true
	case len(first) == 1:
		return Unknown, false
	case first[1] == 0x7f || first[1] >= 0xf8: // minus the number of the type that is defined, 64 or more
		return NetRPC, true
	case first[0] == 0x16 && first[1] == 3:
		return TLS, true
	case first[0] >= 'A' && first[0] <= 'Z':
		return HTTP, true
	case strings.IndexByte("{["+blanks, first[0]) >= 0:
		return jsonOpening(first)
	}
	return Unknown, true
}

const blanks = " \t\r\n"

// maxKeys is how far into an object the key is looked for that tells what it is.
const maxKeys = 4 << 10

// jsonOpening is Of for what begins like JSON, or with a blank.
func jsonOpening(first []byte) (p Protocol, known bool) {
	text := first[:min(len(first), maxKeys)]
	switch next := bytes.TrimLeft(text, blanks); {
	case len(next) > 0 && next[0] == '[':
		return JSONRPC, true
	case len(next) > 0 && next[0] != '{':
		return Unknown, true
	}
	p, known = objectOpening(bytes.NewReader(text))
	if !known && len(first) >= maxKeys {
		return Hello, true
	}
	return p, known
}

// objectOpening tells a hello from JSON-RPC. A hello is an object with a MagicNumber. What
// has no key that tells is read, and refused, as a bad hello. The keys are looked at as
// package encoding/json does, in which case does not count.
func objectOpening(object io.Reader) (p Protocol, known bool) {
	in := json.NewDecoder(object)
	_, err := in.Token() // the brace
	for err == nil && in.More() {
		var key json.Token
		if key, err = in.Token(); err != nil {
			break
		}
		name, _ := key.(string)
		switch {
		case strings.EqualFold(name, "MagicNumber"):
			return Hello, true
		case slices.Contains(jsonRPCKeys, strings.ToLower(name)):
			return JSONRPC, true
		}
		var value json.RawMessage
		err = in.Decode(&value)
	}
	if err == nil {
		_, err = in.Token() // the brace at the end, if it is there
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return Unknown, false
	}
	return Hello, true
}

// await is objectOpening for what arrives on a connection, and is left unread. It looks at
// each byte once: to begin anew with each would cost a client little, and a server seconds.
func await(in *wire.Reader) (Protocol, error) {
	a := &ahead{in: in}
	p, known := objectOpening(a)
	switch {
	case known:
		return p, nil
	case a.err != nil:
		return Unknown, unexpected(a.err)
	}
	return Hello, nil // there are maxKeys bytes
}

// An ahead reads up to maxKeys bytes of a connection, and leaves them unread.
type ahead struct {
	in   *wire.Reader
	seen int   // bytes
	err  error // of the connection
}

// Read implements io.Reader. An error of the connection ends what is read.
func (a *ahead) Read(p []byte) (n int, err error) {
	if a.seen == len(a.in.Buffered()) && a.seen < maxKeys {
		a.err = a.in.More()
	}
	if a.seen >= maxKeys || a.err != nil {
		return 0, io.EOF
	}
	n = copy(p, a.in.Buffered()[a.seen:])
	a.seen += n
	return n, nil
}

// Guess names what begins with a few bytes, empty if it is not known.
func Guess(first []byte) string {
	switch p, known := Of(first); {
	case !known && first[0] == '{':
		return "a client of geerpc or JSON-RPC"
	case p != Unknown:
		return p.String()
	}
	return ""
}

// jsonRPCKeys are keys of a request of JSON-RPC that a hello does not have.
var jsonRPCKeys = []string{"jsonrpc", "method", "params", "id"}

// Reject returns the error for a connection that is not served, and tells the client why,
// if it may understand: with a code of package geerpc, and a text. An empty text is that
// its protocol is not spoken here.
func Reject(l *link.Link, p Protocol, code uint8, text string) error {
	first := bytes.Clone(l.In.Buffered()[:min(len(l.In.Buffered()), 16)])
	Answer(l, answer(p, code, text))
	if p == Unknown {
		return fmt.Errorf("%w: it begins with %q", errNotServed, first)
	}
	why := errNotServed
	if text != "" {
		why = errors.New(text)
	}
	return fmt.Errorf("%w: %v, which begins with %q", why, p, first)
}

// answer returns a refusal in the language of a protocol, empty where there is none.
func answer(p Protocol, code uint8, text string) string {
	switch p {
	case TLS:
		return handshake.NoTLS + `,"Error":"this port has no TLS"}` + "\n"
	case HTTP:
		status := handshake.NoHTTP
		if text != "" {
			status = "400 " + text // all that DialHTTP of net/rpc shows its user
		}
		return "HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
			cmp.Or(text, "This port speaks geerpc's own protocol, without HTTP. Clients reach it with geerpc.Dial, or at tcp@host:port.") + "\n"
	case Hello:
		line, _ := json.Marshal(handshake.Ack{Code: code, Error: cmp.Or(text, "this port does not speak geerpc's protocol")})
		return string(line) + "\n"
	case JSONRPC:
		message, _ := json.Marshal(cmp.Or(text, "this port does not speak JSON-RPC"))
		data, _ := json.Marshal(codes.DetailOf(code, codes.InServer, codes.RanNever))
		return fmt.Sprintf(`{"jsonrpc":"2.0","error":{"code":%d,"message":%s,"data":%s},"id":null}`+"\n", -32000-int(code), message, data)
	case NetRPC:
		return netRPCAnswer(cmp.Or(text, "this port does not speak net/rpc"))
	}
	return ""
}

// netRPCAnswer answers a client's first call without having read it, so that nothing of
// what a stranger sends is decoded. The call's number is 0, or 1 if the client is one of
// package geerpc; clients drop answers to others.
func netRPCAnswer(text string) string {
	var answer bytes.Buffer
	enc := gob.NewEncoder(&answer)
	for seq := range uint64(2) {
		enc.Encode(struct {
			Seq   uint64
			Error string
		}{seq, text})
		enc.Encode(struct{}{})
	}
	return answer.String()
}

var errNotServed = errors.New("not a protocol that is served here")

// hangUpTime is how long a client that has been answered has to hang up.
const hangUpTime = time.Second

// Answer sends a text, if it is not empty, and waits until the client hangs up.
func Answer(l *link.Link, text string) {
	if text != "" && l.Say([]byte(text)) == nil {
		l.Out.Drain(l.Context())
		l.HangUp(hangUpTime, errNotServed)
	}
}
