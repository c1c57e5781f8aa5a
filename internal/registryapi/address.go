package registryapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxAddressBytes is the length of the longest address.
const MaxAddressBytes = 255

// WantAddress says what an address should look like.
const WantAddress = "want protocol@host:port, such as tcp@10.0.0.1:9999"

// Dialable reports whether an address looks like one for geerpc.XDial.
func Dialable(addr string) bool {
	return hasProtocol(addr) && len(addr) <= MaxAddressBytes && !strings.ContainsFunc(addr, isBlank)
}

// CheckAddress returns what is wrong with an address that nobody could dial, or
// that can't be part of a list with commas.
func CheckAddress(addr string) error {
	switch {
	case addr == "":
		return errors.New("no address in " + ServerHeader)
	case len(addr) > MaxAddressBytes:
		return fmt.Errorf("address of %d bytes, allowed are %d", len(addr), MaxAddressBytes)
	case !hasProtocol(addr):
		return fmt.Errorf("address %.64q: %s", addr, WantAddress)
	}
	return CheckWord("address", addr)
}

// CheckWord returns why a text can't be part of a list with commas.
func CheckWord(what, text string) error {
	if text == "" {
		return fmt.Errorf("%s without a name", what)
	}
	if !utf8.ValidString(text) || strings.Contains(text, ",") || strings.ContainsFunc(text, isBlank) {
		return fmt.Errorf("%s %.64q: no commas, blanks and control characters", what, text)
	}
	return nil
}

func hasProtocol(addr string) bool {
	protocol, rest, _ := strings.Cut(addr, "@")
	return protocol != "" && rest != ""
}

func isBlank(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }

// SplitURLs returns the URLs of a list with commas.
func SplitURLs(list string) []string {
	urls := strings.Split(list, ",")
	for i, text := range urls {
		urls[i] = strings.TrimSpace(text)
	}
	return urls
}

// ParseURL returns the URL of a registry. An error doesn't have the URL in it,
// which may have a password.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	bad := (*url.Error)(nil)
	switch {
	case errors.As(err, &bad):
		return nil, bad.Err
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme is %.64q", u.Scheme)
	case u.Host == "":
		return nil, errors.New("there is no host")
	}
	return u, nil
}
