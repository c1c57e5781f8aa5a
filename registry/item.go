package registry

import (
	"encoding/json"
	"fmt"
	"maps"
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

// The limits on what a server may say of itself.
const (
	maxServices      = 100
	maxServicesBytes = 8 << 10
	maxWeight        = 1_000_000 // so that sums of weights don't overflow
	maxMetadata      = 64
	maxMetadataBytes = 4 << 10
	maxInstanceBytes = 64
)

const (
	ttlIntervals = 3              // a server lives for so many of the intervals that it announced,
	maxInterval  = 24 * time.Hour // each counted as no more than this
)

// A ServerItem is a registered server. It is not to be changed.
type ServerItem struct {
	// Addr is what geerpc.XDial takes, 255 bytes at most.
	Addr string `json:"addr"`

	// Weight is the server's share of the calls in proportion to that of the
	// others, from 1 to 1,000,000.
	Weight int `json:"weight"`

	// Services are the names of what the server offers, in order, 100 and
	// 8 KiB at most. None: it didn't say.
	Services []string `json:"services,omitempty"`

	// Metadata is what else the server told, at most 64 pairs and, written as
	// a URL's query, 4 KiB.
	Metadata map[string]string `json:"metadata,omitempty"`

	// Legacy marks a server that registered as GeeRPC's original version does.
	Legacy bool `json:"legacy,omitempty"`

	// Since is when the server registered.
	Since time.Time `json:"since"`

	// LastBeat is when the server was last heard of. Who watches the list is
	// not told of each beat.
	LastBeat time.Time `json:"last_beat"`

	// TTL is for how long the server is kept when nothing more is heard of it,
	// in JSON in nanoseconds: three of its intervals, or New's timeout if it has
	// announced none. Callers keep it for as long when its registry was restarted
	// and doesn't know it yet. Zero: for ever. A registry whose timeout is zero or
	// less has nobody expire, whatever the TTL.
	TTL time.Duration `json:"ttl,omitempty"`

	// Silent marks a server that has missed its beats, so that it is probably
	// dead: nothing has been heard of it for half of its TTL, or for longer where
	// that is over and it is kept because most have fallen silent at once; see
	// GeeRegistry.Grace. Of servers that announce no interval only the latter
	// can be told.
	Silent bool `json:"silent,omitempty"`

	instance string        // that said so, "" if it has no name
	known    []instance    // that registered this address, the latest last
	spared   bool          // its time is over, and it is kept
	bytes    int           // in the list, at most
	interval time.Duration // announced; 0: none
	late     time.Time     // when it is suspect to have heard nothing,
	expires  time.Time     // and when the server is given up; both monotonic: no clock set anew expires anybody
}

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

// heard notes that the server is alive. timeout is how long it lives if it has
// announced no interval.
func (s *ServerItem) heard(now time.Time, timeout time.Duration) {
	s.LastBeat = now.UTC().Truncate(time.Millisecond)
	s.Since = s.LastBeat
	s.TTL = max(timeout, 0)
	s.late = now.Add(timeout)
	if s.interval > 0 {
		s.TTL = ttlIntervals * s.interval
		s.late = now.Add(s.TTL / 2)
	}
	s.expires = now.Add(s.TTL)
}

// widest is a time that is as long in JSON as any that heard notes.
var widest = time.Date(2006, 1, 2, 15, 4, 5, int(999*time.Millisecond), time.UTC)

// measure returns how long the item is in a list in JSON, at most, whatever is
// heard of the server from now on.
func (s ServerItem) measure() int {
	s.Since, s.LastBeat, s.Silent = widest, widest, true
	text, _ := json.Marshal(s) // strings, numbers and times: it can't fail
	return len(text) + len(",")
}

// same reports whether there is no difference that callers should know of.
func (s *ServerItem) same(other *ServerItem) bool {
	return s.Weight == other.Weight && s.Legacy == other.Legacy && s.Silent == other.Silent && s.TTL == other.TTL &&
		slices.Equal(s.Services, other.Services) && maps.Equal(s.Metadata, other.Metadata)
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

// parseVersion reports whether the server is of GeeRPC's original version. What
// comes after ours is as good as ours.
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

// parseServices returns the names in order, each once.
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
