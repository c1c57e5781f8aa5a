package registry

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

// names returns n services, with commas.
func names(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("Service%03d", i)
	}
	return strings.Join(all, ",")
}

// pairs returns n pairs of metadata, as a query.
func pairs(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("key%d=value", i)
	}
	return strings.Join(all, "&")
}

// TestF57_WhatAServerMaySay: each limit, from both sides.
func TestF57_WhatAServerMaySay(t *testing.T) {
	for _, c := range []struct {
		name, header, value string
		ok                  bool
		check               func(ServerItem) bool
	}{
		{"nothing", registryapi.VersionHeader, "", true, func(s ServerItem) bool { return s.Legacy && s.Weight == 1 && s.Services == nil && s.Metadata == nil }},
		{"version", registryapi.VersionHeader, "1", true, func(s ServerItem) bool { return !s.Legacy }},
		{"a later version", registryapi.VersionHeader, "2", true, func(s ServerItem) bool { return !s.Legacy }},
		{"version 0", registryapi.VersionHeader, "0", false, nil},
		{"no version", registryapi.VersionHeader, "one", false, nil},
		{"services in order, each once", registryapi.ServicesHeader, "B, A,B", true, func(s ServerItem) bool { return slices.Equal(s.Services, []string{"A", "B"}) }},
		{"as many services as may be", registryapi.ServicesHeader, names(maxServices), true, func(s ServerItem) bool { return len(s.Services) == maxServices }},
		{"one more", registryapi.ServicesHeader, names(maxServices + 1), false, nil},
		{"a service with a long name", registryapi.ServicesHeader, strings.Repeat("x", maxServicesBytes), true, func(s ServerItem) bool { return len(s.Services) == 1 }},
		{"a longer one", registryapi.ServicesHeader, strings.Repeat("x", maxServicesBytes+1), false, nil},
		{"a service without a name", registryapi.ServicesHeader, "A,,B", false, nil},
		{"a blank in a name", registryapi.ServicesHeader, "A B", false, nil},
		{"a name of no characters", registryapi.ServicesHeader, "A\xff", false, nil},
		{"weight", registryapi.WeightHeader, "7", true, func(s ServerItem) bool { return s.Weight == 7 }},
		{"the greatest weight", registryapi.WeightHeader, fmt.Sprint(maxWeight), true, func(s ServerItem) bool { return s.Weight == maxWeight }},
		{"more weight", registryapi.WeightHeader, fmt.Sprint(maxWeight + 1), false, nil},
		{"no weight", registryapi.WeightHeader, "0", false, nil},
		{"negative weight", registryapi.WeightHeader, "-1", false, nil},
		{"weight in words", registryapi.WeightHeader, "heavy", false, nil},
		{"metadata", registryapi.MetadataHeader, "zone=b+1&empty=", true, func(s ServerItem) bool {
			return maps.Equal(s.Metadata, map[string]string{"zone": "b 1", "empty": ""})
		}},
		{"as many pairs as may be", registryapi.MetadataHeader, pairs(maxMetadata), true, func(s ServerItem) bool { return len(s.Metadata) == maxMetadata }},
		{"one pair more", registryapi.MetadataHeader, pairs(maxMetadata + 1), false, nil},
		{"much metadata", registryapi.MetadataHeader, "k=" + strings.Repeat("v", maxMetadataBytes-2), true, func(s ServerItem) bool { return len(s.Metadata["k"]) == maxMetadataBytes-2 }},
		{"more metadata", registryapi.MetadataHeader, "k=" + strings.Repeat("v", maxMetadataBytes-1), false, nil},
		{"a key twice", registryapi.MetadataHeader, "k=1&k=2", false, nil},
		{"no key", registryapi.MetadataHeader, "=1", false, nil},
		{"no query", registryapi.MetadataHeader, "k=%zz", false, nil},
		{"a line break", registryapi.MetadataHeader, "k=a%0d%0ab", false, nil},
		{"no characters", registryapi.MetadataHeader, "k=%ff", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(0)
			resp := request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", c.header, c.value)
			servers := r.Servers()
			if !c.ok {
				if resp.StatusCode != http.StatusBadRequest || len(servers) != 0 {
					t.Errorf("%s, %d servers", resp.Status, len(servers))
				}
				return
			}
			if resp.StatusCode != http.StatusOK || len(servers) != 1 || !c.check(servers[0]) {
				t.Errorf("%s, %+v", resp.Status, servers)
			}
		})
	}
}

// TestServersSayAgain: what a later beat says replaces what was said before,
// and Since stays.
func TestServersSayAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.VersionHeader, "1", registryapi.ServicesHeader, "A", registryapi.WeightHeader, "2", registryapi.MetadataHeader, "k=v")
		began := time.Now()
		time.Sleep(10 * time.Second)
		ask(r, http.MethodPost, "tcp@a:1", "")
		got := r.Servers()[0]
		if !got.Legacy || got.Weight != 1 || got.Services != nil || got.Metadata != nil {
			t.Errorf("it is still what it was: %+v", got)
		}
		if !got.Since.Equal(began) || !got.LastBeat.Equal(time.Now()) {
			t.Errorf("since %s, last beat %s", got.Since, got.LastBeat)
		}
	})
}

// FuzzRegistration: whatever is taken is within the limits, goes into a list,
// and is what our own servers would have said.
func FuzzRegistration(f *testing.F) {
	f.Add("tcp@a:1", "10s", "1", "A,B", "2", "k=v&z=%2c")
	f.Add("tcp@a:1", "", "", "", "", "")
	f.Add("a,b", "-1s", "x", ",", "0", "%")
	f.Add("\r\n", "1h", "9", " A , A ", "1000000", "a=1;b=2")
	f.Fuzz(func(t *testing.T, addr, interval, ver, services, weight, metadata string) {
		h := make(http.Header)
		for key, value := range map[string]string{registryapi.ServerHeader: addr, registryapi.IntervalHeader: interval, registryapi.VersionHeader: ver,
			registryapi.ServicesHeader: services, registryapi.WeightHeader: weight, registryapi.MetadataHeader: metadata} {
			h.Set(key, value)
		}
		s, err := parseItem(h)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		if s.Addr != addr || strings.ContainsAny(addr, ", \r\n\t\x00") || len(addr) > registryapi.MaxAddressBytes ||
			s.Weight < 1 || s.Weight > maxWeight || len(s.Services) > maxServices || len(s.Metadata) > maxMetadata ||
			s.interval < 0 || s.interval > maxInterval || s.Legacy != (ver == "") {
			t.Fatalf("taken: %+v", s)
		}
		c := Config{Addr: s.Addr, Services: s.Services, Weight: s.Weight, Metadata: s.Metadata, Interval: s.interval}.withDefaults()
		if h, err = c.header(); err != nil {
			if len(metadata) > maxMetadataBytes/3 { // may be longer, written as we do
				return
			}
			t.Fatalf("we would not say %+v: %v", s, err)
		}
		again, err := parseItem(h)
		if err != nil || !again.sameForCallers(s) && !s.Legacy || !reflect.DeepEqual(again.Services, s.Services) {
			t.Fatalf("said %+v, understood %+v, %v", s, again, err)
		}
	})
}
