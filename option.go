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
// GeeRPC's and go to the server in the handshake, and so do Token, PingInterval,
// Compression, MaxMessageBytes and MaxDefinitionBytes. The rest stays on this
// side. Every function that takes an Option copies it, so many Dials may share one.
type Option struct {
	// MagicNumber is filled in by Dial. Any value will do.
	MagicNumber int

	// CodecType is the codec of the connection. The default is codec.GobType.
	CodecType codec.Type

	// ConnectTimeout is the maximum time for Dial as a whole: connecting, TLS,
	// CONNECT and handshake. DefaultOption has 10 s. If it is zero or negative,
	// connecting has no limit. TLS and CONNECT then have 10 s together, and the
	// handshake has 10 s, unless the context of Dial has a deadline.
	ConnectTimeout time.Duration

	// HandleTimeout is the maximum time in which the server answers a call, if
	// only with an error whose code is CodeDeadlineExceeded. The context of the
	// method ends then, but its goroutine may go on after the answer. Zero and
	// negative mean no limit.
	HandleTimeout time.Duration

	// Protocol is what the client speaks: NetRPC to a server of package net/rpc, JSONRPC
	// or JSONRPC1, or one of your own with a ClientCodec. There is no handshake then, and
	// CodecType, HandleTimeout, Legacy, Token and Compression mean nothing; as with
	// Legacy, there are no cancellation, deadlines, metadata and pings on the connection.
	// A server that speaks something else may say nothing at all, for ever: give contexts
	// deadlines. Nil: GeeRPC.
	Protocol *Protocol `json:"-"`

	// Legacy makes the client speak to a server of GeeRPC's original version.
	// It waits for no acknowledgement, and there are no cancellation, deadlines,
	// metadata, typed errors and pings on the connection. Without Legacy the
	// client recognizes such a server if the codec is gob, when it has not
	// acknowledged for 5 s or half of the time for connecting, whichever is
	// less.
	Legacy bool `json:"-"`

	// Dialer makes the connection. Nil means a net.Dialer. It gets the network
	// and the address that Dial was given, and a context that ends with the
	// time for connecting. It runs in a goroutine of the Client's. If it
	// panics, Dial fails.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`

	// TLSConfig, if not nil, puts TLS on the connection. If its ServerName is
	// empty, the host of the address is used.
	TLSConfig *tls.Config `json:"-"`

	// HTTPPath is the path to which DialHTTP sends its CONNECT request. The
	// default is /_geeprc_. The request's Host is that of the address, without
	// the port.
	HTTPPath string `json:"-"`

	// Token is the secret that the server requires, if it has a Token. It must
	// be valid UTF-8, and have no more than some kilobytes.
	Token string `json:"-"`

	// MaxMessageBytes is the maximum size of a reply. Zero means 4 MiB, negative
	// means no limit. An error that does not fit has its text cut. With a limit
	// below 100 bytes even that may not fit, and then the connection ends with
	// the first error. The server limits the size of a request.
	MaxMessageBytes int `json:"-"`

	// MaxDefinitionBytes is the maximum size of all gob type definitions that
	// the server sends on the connection. Each of them comes before the first
	// value of its type. Zero means 64 KiB, negative means no limit. A reply
	// that needs more fails alone, with CodeResourceExhausted. A server that
	// sends more all the same loses the connection. The server limits what the
	// client sends.
	MaxDefinitionBytes int `json:"-"`

	// PingInterval is how often the client sends and receives something: if
	// there was nothing for so long, it sends a ping. Zero means 30 s. Negative
	// means no pings, and then the server does not close the connection for
	// being silent. A server with a short ReadTimeout may ask for more pings in
	// the handshake.
	PingInterval time.Duration `json:"-"`

	// PingTimeout is how long the server has to answer a ping, when it has been
	// silent for PingInterval, before the connection is closed. It is at least
	// a quarter of PingInterval. Zero means 10 s, negative means no limit.
	PingTimeout time.Duration `json:"-"`

	// FlushTimeout is the maximum time in which the server takes none of the
	// bytes that the client has to send, before the connection is closed. It
	// begins anew with each byte that is taken. Zero means 10 s, negative means
	// no limit.
	FlushTimeout time.Duration `json:"-"`

	// Compression names the algorithms with which the connection may be
	// compressed, such as "flate", the preferred one first. The server chooses
	// the first that it allows. Empty means no compression.
	Compression []string `json:"-"`

	// Interceptors wrap each call. The first is the outermost, and nil ones are
	// skipped. With interceptors the calls of Client.Go are sent in any order,
	// even to a Server that is Ordered.
	Interceptors []Interceptor `json:"-"`

	// Logger logs broken connections and mistakes in the use of Go: interceptors
	// that panic, Done channels that are closed. Nil means no log. The Logger
	// runs on a goroutine of its own, for which only Close waits, for 250 ms at
	// most. If 64 messages are waiting, further ones are dropped.
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

// copyOption returns a copy of the option given, or of DefaultOption.
func copyOption(opts []*Option) (Option, error) {
	switch {
	case len(opts) > 1:
		return Option{}, newError(CodeInvalidArgument, InClient, RanNever, "rpc client", errManyOptions)
	case len(opts) == 1 && opts[0] != nil:
		return *opts[0], nil
	}
	return *DefaultOption, nil
}

// parseOptions returns a copy of the option given, with defaults filled in. Its limits
// are 0 for no limit.
func parseOptions(opts ...*Option) (Option, error) {
	opt, err := copyOption(opts)
	if err != nil {
		return opt, err
	}
	opt.MagicNumber = MagicNumber
	if opt.CodecType == "" {
		opt.CodecType = codec.GobType
	}
	opt.setProtocol(opt.Protocol)
	opt.HandleTimeout = max(opt.HandleTimeout, 0)
	opt.Logger = orQuiet(opt.Logger)
	opt.MaxMessageBytes = limit(opt.MaxMessageBytes, DefaultMaxMessageBytes)
	opt.MaxDefinitionBytes = limit(opt.MaxDefinitionBytes, DefaultMaxDefinitionBytes)
	opt.PingInterval = min(limit(opt.PingInterval, DefaultPingInterval), link.MaxInterval)
	opt.PingTimeout = min(limit(opt.PingTimeout, DefaultPingTimeout), link.MaxInterval)
	opt.FlushTimeout = limit(opt.FlushTimeout, DefaultFlushTimeout)
	return opt, opt.checkCompression()
}

// setProtocol sets the protocol, and with it the codec.
func (opt *Option) setProtocol(p *Protocol) {
	opt.Protocol = p
	if p != nil && p != GeeRPC {
		opt.CodecType = p.CodecType
	}
}

// limit returns the default for zero, and 0 for a negative value, which is no limit.
func limit[T int | time.Duration](value, byDefault T) T {
	switch {
	case value == 0:
		return byDefault
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
