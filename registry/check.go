package registry

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"

	"geerpc/internal/registryapi"
)

var errNoRegistry = errors.New("rpc registry: Config.Registries is empty")

// check tells what is wrong with the Config, if anything is.
func (c *Config) check() error {
	if err := c.mistake(); err != nil {
		return err
	}
	return c.doubt()
}

// mistake tells why the Config could never work.
func (c *Config) mistake() error {
	if len(c.Registries) == 0 {
		return errNoRegistry
	}
	for i, at := range c.Registries {
		if err := checkURL(at); err != nil {
			return fmt.Errorf("rpc registry: Config.Registries[%d]: want http://host:port/path, one URL per entry: %w", i, err)
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

// doubt tells why the Config, although it may work, can't be what is meant.
func (c *Config) doubt() error {
	if c.Interval < minInterval {
		return fmt.Errorf("rpc registry: Config.Interval is %s, the least is %s; is the unit missing, as in 10 * time.Second?", c.Interval, minInterval)
	}
	if local, err := unspecified(c.Addr); err == nil && local {
		return fmt.Errorf("rpc registry: %q leads each caller to its own machine; set Config.Addr to where callers reach this one, "+
			"such as tcp@10.0.0.1:9999", c.Addr)
	}
	return nil
}

// unspecified reports whether an address on TCP has no host, or one such as
// 0.0.0.0, so that it leads each caller to its own machine. It fails if
// geerpc.XDial could not even try to connect; what other networks take it can't
// tell.
func unspecified(addr string) (bool, error) {
	protocol, at, _ := strings.Cut(addr, "@")
	switch protocol {
	case "tcp", "tcp4", "tcp6", "tls", "http", "https":
	default:
		return false, nil
	}
	host, port, err := net.SplitHostPort(at)
	if bad := (*net.AddrError)(nil); errors.As(err, &bad) {
		return false, errors.New(bad.Err) // whoever asks has the address
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
	if strings.Contains(text, ",") {
		return errors.New("there is a comma in it")
	}
	_, err := registryapi.ParseURL(text)
	return err
}

// checkServices tells whether a registry would not take these names.
func checkServices(names []string) error {
	for _, name := range names {
		if err := checkWord("service", name); err != nil {
			return err
		}
	}
	_, err := parseServices(strings.Join(names, ","))
	return err
}
