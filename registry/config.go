package registry

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"geerpc/internal/registryapi"
)

// DefaultInterval is the time between two heartbeats where none is given.
const DefaultInterval = 10 * time.Second

// minInterval is the shortest. Beats are for finding out in seconds who has
// died, and what is shorter is a number without its unit.
const minInterval = time.Second

// A Config says what a server tells which registries. It is copied, and the
// slices and the map in it are not to be changed after.
type Config struct {
	// Registries are the URLs of the registries, one per entry, each of which
	// is told everything, whatever becomes of the others.
	Registries []string

	// Addr is where callers reach the server, as geerpc.XDial takes it:
	// protocol@host:port, such as tcp@10.0.0.1:9999 or tls@db.example:9999, or
	// an address on another network, such as unix@/tmp/socket. One that leads
	// each caller to its own machine, such as tcp@:9999 or tcp@0.0.0.0:9999, is
	// refused. Serve takes that of its listener if it is empty.
	Addr string

	// Services are the names of the services that the server offers; callers
	// of others don't come. None: the server doesn't say, and all may come.
	// Serve takes those of its Server if it is nil, at each beat anew; if they
	// are more than 100, or can't be written in a list, the server doesn't say.
	Services []string

	// Weight is the server's share of the calls in proportion to that of the
	// others, 1,000,000 at most. Less than 1 counts as 1.
	Weight int

	// Metadata is what else there is to tell: a zone, a version. At most 64
	// pairs and, written as a URL's query, 4 KiB.
	Metadata map[string]string

	// Interval is the time between two beats, give or take a tenth; a second
	// or more. The registries forget a server that is silent for three. Zero or
	// negative: DefaultInterval.
	Interval time.Duration

	// Token is what the registries want to see before they take anything;
	// see GeeRegistry.Token.
	Token string

	// Client makes the requests. Nil: one like http.DefaultClient. Whatever
	// limits it has, a request is given up after 5 seconds. A connection is kept
	// for 30 seconds.
	Client *http.Client

	// Logger hears why a Config is refused, when a registry doesn't take a beat,
	// once, and when it does again, and if it can't be told that the server
	// leaves. Nil: nobody does.
	Logger *slog.Logger
}

// withDefaults returns the Config with what it leaves out filled in.
func (c Config) withDefaults() Config {
	if c.Interval <= 0 {
		c.Interval = DefaultInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// header returns what a beat says. It fails if a registry would not take it.
func (c *Config) header() (http.Header, error) {
	h := make(http.Header)
	set := func(key, value string) {
		if value != "" {
			h.Set(key, value)
		}
	}
	metadata := make(url.Values, len(c.Metadata))
	for key, value := range c.Metadata {
		metadata.Set(key, value)
	}
	set(registryapi.VersionHeader, registryapi.Version)
	set(registryapi.ServerHeader, c.Addr)
	set(registryapi.IntervalHeader, c.Interval.String())
	set(registryapi.ServicesHeader, strings.Join(c.Services, ","))
	set(registryapi.WeightHeader, strconv.Itoa(max(c.Weight, 1)))
	set(registryapi.MetadataHeader, metadata.Encode())
	if c.Token != "" {
		set("Authorization", "Bearer "+c.Token)
	}
	if err := checkServices(c.Services); err != nil {
		return nil, err
	}
	_, err := parseItem(h)
	return h, err
}
