package geerpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/link"
)

// MagicNumber marks the first bytes of a connection as geerpc's.
const MagicNumber = handshake.MagicNumber // 0x3bef5c

// The defaults of both sides.
const (
	DefaultConnectTimeout     = 10 * time.Second // of DefaultOption
	DefaultMaxMessageBytes    = codec.DefaultMaxMessageBytes
	DefaultMaxDefinitionBytes = codec.DefaultMaxDefinitionBytes
	DefaultFlushTimeout       = 10 * time.Second
	DefaultPingInterval       = 30 * time.Second
	DefaultPingTimeout        = 10 * time.Second
)

// An Option is how a client wants its connection. The first four fields are
// GeeRPC's and go to the server in the handshake, and so do Token,
// MaxMessageBytes and MaxDefinitionBytes; the rest stays on this side.
// An Option is copied by whatever takes one and may be shared by many Dials.
type Option struct {
	MagicNumber int        // set by Dial; 0 will do
	CodecType   codec.Type // empty: codec.GobType

	// ConnectTimeout limits Dial as a whole: connecting, TLS, CONNECT and
	// handshake. Zero or negative: no limit for connecting; then TLS and CONNECT
	// have 10 s together, and the handshake has 10 s, unless the context of Dial
	// has a deadline. DefaultOption has 10 s.
	ConnectTimeout time.Duration

	// HandleTimeout makes the server answer each call within that time, if
	// only with an error whose code is CodeDeadlineExceeded. The method is
	// told by its context, if it takes one; its goroutine may outlive the
	// answer. Zero or negative: no limit.
	HandleTimeout time.Duration

	// Legacy makes the client speak to a server of GeeRPC's original
	// version: no acknowledgement is waited for, and there are neither
	// cancellation nor deadlines on the wire, metadata, typed errors, pings.
	// Without it such a server is found out if the codec is gob, once it has
	// not acknowledged for 5 s or half of the time for connecting, whichever
	// is less.
	Legacy bool `json:"-"`

	// Dialer makes the connection; nil: a net.Dialer. It gets the network
	// and the address that Dial was given, and a context that ends with the
	// time for connecting. It runs in a goroutine of the Client's: if it
	// panics, Dial fails.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`

	// TLSConfig, if not nil, puts TLS on the connection. ServerName may be
	// left out where the address has the name.
	TLSConfig *tls.Config `json:"-"`

	// HTTPPath is where DialHTTP sends its CONNECT; empty: /_geeprc_. The
	// request's Host is that of the address, without the port.
	HTTPPath string `json:"-"`

	// Token is presented to a server that asks for one: text, in UTF-8, of
	// some kilobytes at most.
	Token string `json:"-"`

	// MaxMessageBytes limits a reply's size. Zero: 4 MiB; negative: no limit.
	// The size of a request is limited by the server. Of an error that would
	// not fit the text is cut; a limit below 100 bytes may be too low for any
	// answer, and then the first one ends the connection.
	MaxMessageBytes int `json:"-"`

	// MaxDefinitionBytes limits the gob type definitions that the server may
	// send on this connection, each of which comes before the first value of
	// its type. The server knows: a reply that needs more fails alone, and its
	// error has CodeResourceExhausted. A peer that sends more all the same
	// loses the connection. Zero: 64 KiB; negative: no limit. What a client
	// may send is limited by the server.
	MaxDefinitionBytes int `json:"-"`

	// PingInterval is how often the server hears from the client: when the
	// client has sent nothing, or received nothing, for so long, it sends a
	// ping. A server with a short ReadTimeout may ask for more pings in the
	// handshake. Zero: 30 s; negative: no pings, and the server does not
	// close the connection for being silent.
	PingInterval time.Duration `json:"-"`

	// PingTimeout is how long a server that has been silent for PingInterval
	// has to answer a ping before the connection is given up; at least a
	// quarter of PingInterval. Zero: 10 s; negative: no limit.
	PingTimeout time.Duration `json:"-"`

	// FlushTimeout limits how long the server may take no byte that the
	// client has to send before the connection is given up. Each byte that
	// it takes begins a new wait. Zero: 10 s; negative: no limit.
	FlushTimeout time.Duration `json:"-"`

	// Compression names the algorithms that the client may compress with, the one
	// that it likes most first, such as "flate". The server uses the first that it
	// allows. None: nothing is compressed.
	Compression []string `json:"-"`

	// Interceptors wrap each call; the first is the outermost, nil ones are
	// left out. With them, the calls of Client.Go are sent in any order, also
	// to a Server that is Ordered.
	Interceptors []Interceptor `json:"-"`

	// Logger hears of broken connections, and of what goes wrong under Go:
	// interceptors that panic, Done channels that are closed. It is called on
	// a goroutine of its own, which nothing waits for but Close, for 250 ms at
	// most; messages are dropped if 64 are waiting. Nil: nobody hears.
	Logger *slog.Logger `json:"-"`
}

// DefaultOption is used where none is given: gob, 10 s to connect, no limit on
// handling. Change it before the first Dial or not at all.
var DefaultOption = &Option{
	MagicNumber:    MagicNumber,
	CodecType:      codec.GobType,
	ConnectTimeout: DefaultConnectTimeout,
}

var errManyOptions = errors.New("number of options is more than 1")

// parseOptions returns a copy of the option given, with defaults filled in.
func parseOptions(opts ...*Option) (Option, error) {
	if len(opts) > 1 {
		return Option{}, newError(CodeInvalidArgument, InClient, RanNever, "rpc client", errManyOptions)
	}
	opt := *DefaultOption
	if len(opts) == 1 && opts[0] != nil {
		opt = *opts[0]
	}
	opt.MagicNumber = MagicNumber
	if opt.CodecType == "" {
		opt.CodecType = codec.GobType
	}
	opt.HandleTimeout = max(opt.HandleTimeout, 0)
	opt.Logger = orQuiet(opt.Logger)
	opt.MaxMessageBytes = limit(opt.MaxMessageBytes, DefaultMaxMessageBytes)
	opt.MaxDefinitionBytes = limit(opt.MaxDefinitionBytes, DefaultMaxDefinitionBytes)
	opt.PingInterval = min(limit(opt.PingInterval, DefaultPingInterval), link.MaxInterval)
	opt.PingTimeout = min(limit(opt.PingTimeout, DefaultPingTimeout), link.MaxInterval)
	opt.FlushTimeout = limit(opt.FlushTimeout, DefaultFlushTimeout)
	return opt, opt.checkCompression()
}

// limit applies the rule for limits, zero is the default and a negative value
// is no limit, and returns 0 for no limit.
func limit[T int | time.Duration](value, standard T) T {
	switch {
	case value == 0:
		return standard
	case value < 0:
		return 0
	}
	return value
}

var quiet = slog.New(slog.DiscardHandler)

func orQuiet(l *slog.Logger) *slog.Logger {
	if l == nil {
		return quiet
	}
	return l
}
