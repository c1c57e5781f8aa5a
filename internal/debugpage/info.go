package debugpage

import (
	"strings"
	"time"

	"geerpc/internal/callstats"
	"geerpc/internal/page"
)

// The lengths of lists.
const (
	MaxConns   = 100 // connections
	MaxRunning = 20  // calls under way
	MaxEvents  = 5   // of a connection
)

// An Info is what the page shows, as the server gathers it.
type Info struct {
	State  string    `json:"state"` // idle, open, draining or closed
	Server Identity  `json:"server"`
	Now    time.Time `json:"now"`

	UptimeSeconds float64 `json:"uptime_seconds"`
	Goroutines    int     `json:"goroutines"`
	Counts
	Recent
	UnknownCalls int64          `json:"unknown_calls"`
	Services     []Service      `json:"services"`
	Running      []Running      `json:"running"` // the oldest first
	Connections  Conns          `json:"connections"`
	Refused      []Refusal      `json:"refused"` // the latest first
	Settings     []page.Setting `json:"settings"`
	Hints        []string       `json:"hints"`
}

// An Identity says which server it is.
type Identity struct {
	page.Process
	Listeners []string `json:"listeners"` // as "tcp 127.0.0.1:9999"
}

// Counts are the calls of one method, or of all, since the start.
type Counts struct {
	Calls    int64 `json:"calls"`
	Errors   int64 `json:"errors"`
	InFlight int64 `json:"in_flight"`
}

// A Service is a section of the page.
type Service struct {
	Name    string    `json:"name"`
	Methods []Method  `json:"methods"`
	Skipped []Skipped `json:"skipped"`
}

// A Skipped method can't be called.
type Skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// A Method is a row of a Service.
type Method struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Counts
	Recent
	Samples []Sample `json:"samples"` // calls that have ended: the failures, then the slowest

	Stats *callstats.Recorder `json:"-"`
}

// Params returns the signature without the name.
func (m Method) Params() string { return strings.TrimPrefix(m.Signature, m.Name) }

// A Sample is a call that has ended, or something that was refused.
type Sample struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"` // that a call took
	Code    string    `json:"code"`
	Peer    string    `json:"peer"`
	Error   string    `json:"error"`
	Trace   string    `json:"trace"`
}

// A Refusal is a reason for which connections were rejected or lost, or calls of unknown
// methods refused.
type Refusal struct {
	Reason string    `json:"reason"`
	Count  int64     `json:"count"`
	At     time.Time `json:"at"` // the last time
	Peer   string    `json:"peer"`
}

// A Running is a call under way.
type Running struct {
	Method    string  `json:"method"`
	Peer      string  `json:"peer"`
	Seconds   float64 `json:"seconds"`
	Abandoned bool    `json:"abandoned"` // the caller has left
}

// Conns are the connections, of which at most MaxConns are listed.
type Conns struct {
	Open        int    `json:"open"`
	Handshaking int    `json:"handshaking"`
	Limit       int    `json:"limit"`
	Rejected    int64  `json:"rejected"`
	Lost        int64  `json:"lost"` // broken, or closed because of a limit
	List        []Conn `json:"list"`
}

// Unlisted returns how many connections the list leaves out.
func (c Conns) Unlisted() int { return c.Open - len(c.List) }

// A Conn is a row of Conns.
type Conn struct {
	Peer        string  `json:"peer"`
	TLS         bool    `json:"tls"`
	Codec       string  `json:"codec"`  // "" until the handshake is done
	Layout      string  `json:"layout"` // likewise
	Compression bool    `json:"compression"`
	Calls       int64   `json:"calls"`
	InFlight    int64   `json:"in_flight"`
	MaxInFlight int64   `json:"max_in_flight"` // 0: no limit
	Received    int64   `json:"received_bytes"`
	Sent        int64   `json:"sent_bytes"`
	Gone        bool    `json:"gone"`
	Draining    bool    `json:"draining"`
	AgeSeconds  float64 `json:"age_seconds"`
	Events      []Event `json:"events"` // the latest last
}

// An Event is something out of the ordinary about a connection.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}
