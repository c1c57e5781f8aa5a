package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"geerpc/internal/registryapi"
)

// The limits on what a server may say about itself.
const (
	maxServices      = 100
	maxServicesBytes = 8 << 10
	maxWeight        = 1_000_000 // so that sums of weights don't overflow
	maxMetadata      = 64
	maxMetadataBytes = 4 << 10
	maxInstanceBytes = 64
	maxInterval      = 24 * time.Hour // a longer one counts as this
)

// parseItem reads a registration. The error says what is wrong with it.
func parseItem(h http.Header) (*ServerItem, error) {
	s := &ServerItem{Addr: h.Get(registryapi.ServerHeader), Weight: 1}
	err := checkAddress(s.Addr)
	if err == nil {
		s.interval, err = parseInterval(h.Get(registryapi.IntervalHeader))
	}
	if err == nil {
		s.Legacy, err = parseVersion(h.Get(registryapi.VersionHeader))
	}
	if err == nil {
		s.Services, err = parseServices(h.Get(registryapi.ServicesHeader))
	}
	if text := h.Get(registryapi.WeightHeader); err == nil && text != "" {
		s.Weight, err = parseInt(registryapi.WeightHeader, text, maxWeight)
	}
	if err == nil {
		s.Metadata, err = parseMetadata(h.Get(registryapi.MetadataHeader))
	}
	if err == nil {
		s.instance, err = parseInstance(h)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func parseInterval(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("rpc registry: %s: %.64q is not a positive duration", registryapi.IntervalHeader, text)
	}
	return min(d, maxInterval), nil
}

// parseVersion reports whether the server is of GeeRPC's original version. Later
// versions count as ours.
func parseVersion(text string) (legacy bool, err error) {
	if text == "" {
		return true, nil
	}
	_, err = parseInt(registryapi.VersionHeader, text, maxWeight)
	return false, err
}

func parseInt(header, text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("rpc registry: %s: %.64q is not a number from 1 to %d", header, text, most)
	}
	return n, nil
}

// parseServices returns the names, sorted and each once.
func parseServices(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxServicesBytes {
		return nil, fmt.Errorf("rpc registry: services of %d bytes, allowed are %d", len(text), maxServicesBytes)
	}
	names := strings.Split(text, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if err := checkWord("service", names[i]); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxServices {
		return nil, fmt.Errorf("rpc registry: %d services, allowed are %d", len(names), maxServices)
	}
	return names, nil
}

func parseMetadata(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxMetadataBytes {
		return nil, fmt.Errorf("rpc registry: metadata of %d bytes, allowed are %d", len(text), maxMetadataBytes)
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fmt.Errorf("rpc registry: %s: %.64q is not the query of a URL", registryapi.MetadataHeader, text)
	}
	if len(values) > maxMetadata {
		return nil, fmt.Errorf("rpc registry: %d pairs of metadata, allowed are %d", len(values), maxMetadata)
	}
	metadata := make(map[string]string, len(values))
	for key, value := range values {
		pair := key + value[0]
		if key == "" || len(value) > 1 || !utf8.ValidString(pair) || strings.ContainsFunc(pair, unicode.IsControl) {
			return nil, fmt.Errorf("rpc registry: metadata %.64q: once each, with a key, no control characters", key)
		}
		metadata[key] = value[0]
	}
	return metadata, nil
}

// parseInstance returns the name of the instance in a request, "" if there is
// none.
func parseInstance(h http.Header) (string, error) {
	name := h.Get(registryapi.InstanceHeader)
	if name == "" {
		return "", nil
	}
	if len(name) > maxInstanceBytes {
		return "", fmt.Errorf("rpc registry: %s of %d bytes, allowed are %d", registryapi.InstanceHeader, len(name), maxInstanceBytes)
	}
	return name, checkWord("instance", name)
}

func checkAddress(addr string) error { return registryError(registryapi.CheckAddress(addr)) }

func checkWord(what, text string) error { return registryError(registryapi.CheckWord(what, text)) }

// registryError adds the prefix of this package to an error, if it is one.
func registryError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rpc registry: %w", err)
}
