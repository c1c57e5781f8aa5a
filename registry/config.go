package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"geerpc/internal/registryapi"
)

// DefaultInterval is the default of Config.Interval.
const DefaultInterval = 10 * time.Second

// minInterval is the shortest. A shorter one is likely a number without its unit,
// and finding dead servers takes no less than seconds anyway.
const minInterval = time.Second

var errNoRegistry = errors.New("rpc registry: Config.Registries is empty")

// A Config says with which registries a server registers, and as what. It is copied;
// the slices and the map in it must not be changed afterwards.
type Config struct {
	// Registries are the URLs of the registries. An entry may have several, separated
	// by commas, as xclient.NewGeeRegistryDiscovery takes them. The server registers
	// with each, whether or not the others can be reached.
	Registries []string

	// Addr is where callers reach the server, as geerpc.XDial takes it:
	// protocol@host:port, such as tcp@10.0.0.1:9999 or tls@db.example:9999, or
	// an address on another network, such as unix@/tmp/socket. One that leads
	// each caller to its own machine, such as tcp@:9999 or tcp@0.0.0.0:9999, is
	// refused. Serve takes that of its listener if it is empty.
	Addr string

	// Services are the names of the services that the server offers; it gets no calls
	// for others. None: the server doesn't say, and gets calls for any. If it is nil,
	// Serve takes the names from its Server, anew for each heartbeat; if they are more
	// than 100, or can't be written in a list, the server doesn't say.
	Services []string

	// Weight is the server's share of the calls in proportion to that of the
	// others, 1,000,000 at most. Less than 1 counts as 1.
	Weight int

	// Metadata is whatever else callers should know, such as a zone or a version: at
	// most 64 pairs and, as the query of a URL, 4 KiB.
	Metadata map[string]string

	// Interval is the time between two heartbeats, give or take a tenth; at least a
	// second. The registries forget a server after three intervals without a
	// heartbeat. Zero or negative: DefaultInterval.
	Interval time.Duration

	// Token is the secret that the registries require, if they do; see
	// GeeRegistry.Token.
	Token string

	// Client makes the requests. Nil: one like http.DefaultClient. Whatever its
	// Timeout, a request is given up after 5 seconds. A connection is used for 30
	// seconds.
	Client *http.Client

	// Logger gets a message when the Config is refused, when heartbeats to a registry
	// begin to fail and when they succeed again, and when deregistering fails. Nil:
	// there are none.
	Logger *slog.Logger
}

// withDefaults returns the Config with defaults in place of zero values, and one
// registry per entry.
func (c Config) withDefaults() Config {
	var urls []string
	for _, list := range c.Registries {
		urls = append(urls, registryapi.SplitURLs(list)...)
	}
	c.Registries = urls
	if c.Interval <= 0 {
		c.Interval = DefaultInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// header returns the header of a heartbeat. It fails if a registry would refuse it.
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

// check returns what is wrong with the Config.
func (c *Config) check() error {
	if err := c.checkUsable(); err != nil {
		return err
	}
	return c.checkPlausible()
}

// checkUsable returns why the Config can't work.
func (c *Config) checkUsable() error {
	if len(c.Registries) == 0 {
		return errNoRegistry
	}
	for i, at := range c.Registries {
		if err := checkURL(at); err != nil {
			return fmt.Errorf("rpc registry: Config.Registries[%d]: want http://host:port/path: %w", i, err)
		}
	}
	switch {
	case c.Addr == "":
		return errors.New("rpc registry: Config.Addr is empty, " + registryapi.WantAddress)
	case c.Weight > maxWeight:
		return fmt.Errorf("rpc registry: Config.Weight is %d, the most is %d", c.Weight, maxWeight)
	case strings.ContainsFunc(c.Token, unicode.IsControl):
		return errors.New("rpc registry: Config.Token has a control character in it; is it the end of a line?")
	}
	if _, err := c.header(); err != nil {
		return err
	}
	if _, err := unspecified(c.Addr); err != nil {
		return fmt.Errorf("rpc registry: Config.Addr is %q, %s: %w", c.Addr, registryapi.WantAddress, err)
	}
	return nil
}

// checkPlausible returns why the Config, though it might work, can't be what is
// meant.
func (c *Config) checkPlausible() error {
	if c.Interval < minInterval {
		return fmt.Errorf("rpc registry: Config.Interval is %s, the least is %s; is the unit missing, as in 10 * time.Second?", c.Interval, minInterval)
	}
	if local, err := unspecified(c.Addr); err == nil && local {
		return fmt.Errorf("rpc registry: %q leads each caller to its own machine; set Config.Addr to where callers reach this one, "+
			"such as tcp@10.0.0.1:9999", c.Addr)
	}
	return nil
}

// unspecified reports whether a TCP address has no host, or one such as 0.0.0.0, so
// that it leads each caller to its own machine. It fails if geerpc.XDial could not
// even try to connect. Addresses on other networks are not examined.
func unspecified(addr string) (bool, error) {
	protocol, at, _ := strings.Cut(addr, "@")
	switch protocol {
	case "tcp", "tcp4", "tcp6", "tls", "http", "https":
	default:
		return false, nil
	}
	host, port, err := net.SplitHostPort(at)
	if bad := (*net.AddrError)(nil); errors.As(err, &bad) {
		return false, errors.New(bad.Err) // the caller adds the address
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return false, fmt.Errorf("there is no port %q", port)
	}
	ip, _ := netip.ParseAddr(host) // a name is no IP address, and not unspecified
	return host == "" || ip.Unmap().IsUnspecified(), nil
}

// checkURL returns what is wrong with the URL of a registry, without the URL,
// which may have a password.
func checkURL(text string) error {
	_, err := registryapi.ParseURL(text)
	return err
}

// checkServices returns why a registry would refuse these names.
func checkServices(names []string) error {
	for _, name := range names {
		if err := checkWord("service", name); err != nil {
			return err
		}
	}
	_, err := parseServices(strings.Join(names, ","))
	return err
}
