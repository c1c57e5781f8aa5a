package registry

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"geerpc/internal/registryapi"
)

const (
	// maxInstances limits those that share an address. Two are usual, for a
	// moment: a process that starts while the one before it stops.
	maxInstances = 8

	// A beat that was sent before the goodbye may arrive after it. For
	// departedTime it is not taken.
	departedTime = time.Minute
	maxDeparted  = 4096
)

// An instance is one registration of an address: a process, as a rule. Several
// have the same address when a process takes over from another one, or shares a
// port with it. Servers of GeeRPC's original version have no name, and count as
// one instance.
type instance struct {
	name     string
	since    time.Time // of its first beat
	heard    time.Time // when it last beat
	interval time.Duration
	late     time.Time // these are as those of its item, if it was the only one
	expires  time.Time
}

// newInstance returns the name of a registration that begins.
func newInstance() string { return rand.Text() }

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

// meet adds the instances that were there before to an item that was just
// heard. Those whose time is over are left out, unless nobody expires. The
// latest to come speaks for the address: if another one beat, the item says
// again what the latest has said.
func (s *ServerItem) meet(before *ServerItem, now time.Time, expire bool) {
	this := instance{s.instance, now, now, s.interval, s.late, s.expires}
	if before == nil {
		s.known = []instance{this}
		return
	}
	for _, i := range before.known {
		switch {
		case i.name == this.name:
			this.since = i.since
			s.known = append(s.known, this)
		case !expire || now.Before(i.expires):
			s.known = append(s.known, i)
		}
	}
	if !slices.ContainsFunc(s.known, func(i instance) bool { return i.name == this.name }) {
		s.known = append(s.known, this)
	}
	if len(s.known) > maxInstances {
		s.known = slices.Delete(s.known, 0, 1)
	}
	s.settle()
	if s.known[len(s.known)-1].name != this.name {
		s.Weight, s.Legacy, s.Services, s.Metadata, s.TTL = before.Weight, before.Legacy, before.Services, before.Metadata, before.TTL
	}
}

// settle has the item live for as long as any of its instances. The interval is
// the latest's.
func (s *ServerItem) settle() {
	s.interval = s.known[len(s.known)-1].interval
	s.late, s.expires = time.Time{}, time.Time{}
	for _, i := range s.known {
		if i.late.After(s.late) {
			s.late = i.late
		}
		if i.expires.After(s.expires) {
			s.expires = i.expires
		}
	}
}

// again returns what was said before as said again, by an instance.
func (s *ServerItem) again(name string, now time.Time, timeout time.Duration) *ServerItem {
	a := *s
	a.instance, a.known, a.Silent, a.spared = name, nil, false, false
	a.heard(now, timeout)
	a.meet(s, now, timeout > 0)
	return &a
}

// without returns the instances that remain when one leaves: those that were
// heard since it came, or whose next beat is not overdue. One that was not has
// died without a goodbye, and its address was taken over.
func (s *ServerItem) without(name string, now time.Time) (rest []instance) {
	i := slices.IndexFunc(s.known, func(i instance) bool { return i.name == name })
	if i < 0 {
		return s.known
	}
	for j, other := range s.known {
		if j > i || j < i && (other.heard.After(s.known[i].since) || now.Before(other.late)) {
			rest = append(rest, other)
		}
	}
	return rest
}

// The departed are instances that have said goodbye. GeeRegistry.mu guards them.
type departed struct {
	until map[string]time.Time
	order []string // the earliest first
}

// add notes that an instance has left.
func (d *departed) add(name string, now time.Time) {
	if d.until == nil {
		d.until = make(map[string]time.Time)
	}
	for len(d.order) > 0 && (len(d.order) >= maxDeparted || now.After(d.until[d.order[0]])) {
		delete(d.until, d.order[0])
		d.order = d.order[1:]
	}
	if _, there := d.until[name]; !there {
		d.order = append(d.order, name)
		d.until[name] = now.Add(departedTime)
	}
}

// has reports whether an instance has left not long ago.
func (d *departed) has(name string, now time.Time) bool { return now.Before(d.until[name]) }
