package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
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
	_, err := c.header()
	return err
}

// doubt tells why the Config, although it may work, can't be what is meant.
func (c *Config) doubt() error {
	if c.Interval < minInterval {
		return fmt.Errorf("rpc registry: Config.Interval is %s, the least is %s; is the unit missing, as in 10 * time.Second?", c.Interval, minInterval)
	}
	return nil
}

// checkURL tells what is wrong with the URL of a registry, without the URL,
// which may have a password.
func checkURL(text string) error {
	if strings.Contains(text, ",") {
		return errors.New("there is a comma in it")
	}
	u, err := url.Parse(text)
	bad := (*url.Error)(nil)
	switch {
	case errors.As(err, &bad):
		return bad.Err
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the scheme is %.64q", u.Scheme)
	case u.Host == "":
		return errors.New("there is no host")
	}
	return nil
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
