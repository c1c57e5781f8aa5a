package registry

import (
	"crypto/rand"
	"slices"
	"time"
)

const (
	// maxInstances limits the instances of one address. Two are usual, for a
	// moment: a process that starts while the one before it stops.
	maxInstances = 8

	// A heartbeat that was sent before its instance deregistered may arrive
	// later. For deregisteredTime it is refused.
	deregisteredTime = time.Minute
	maxDeregistered  = 4096
)

// An instance is one registration of an address, usually a process. Several have
// the same address when a process takes over from another one, or shares a port
// with it. Servers of GeeRPC's original version have no name, and count as one
// instance.
type instance struct {
	name      string
	since     time.Time // its first heartbeat
	lastBeat  time.Time
	interval  time.Duration
	lateAt    time.Time // as ServerItem.lateAt, of this instance alone
	expiresAt time.Time // as ServerItem.expiresAt
}

// newInstance returns a name for a registration that begins.
func newInstance() string { return rand.Text() }

// joinInstances adds the instances of the item before to s, which has just been
// received. Expired ones are left out, unless expire is false. The latest instance
// to register speaks for the address: if s is of another one, s says again what
// the latest has said.
func (s *ServerItem) joinInstances(before *ServerItem, now time.Time, expire bool) {
	this := instance{s.instance, now, now, s.interval, s.lateAt, s.expiresAt}
	if before == nil {
		s.instances = []instance{this}
		return
	}
	for _, i := range before.instances {
		switch {
		case i.name == this.name:
			this.since = i.since
			s.instances = append(s.instances, this)
		case !expire || now.Before(i.expiresAt):
			s.instances = append(s.instances, i)
		}
	}
	if !s.hasInstance(this.name) {
		s.instances = append(s.instances, this)
	}
	if len(s.instances) > maxInstances {
		s.instances = slices.Delete(s.instances, 0, 1)
	}
	s.setExpiry()
	if s.instances[len(s.instances)-1].name != this.name {
		s.Weight, s.Legacy, s.Services, s.Metadata, s.TTL = before.Weight, before.Legacy, before.Services, before.Metadata, before.TTL
	}
}

func (s *ServerItem) hasInstance(name string) bool {
	return slices.ContainsFunc(s.instances, func(i instance) bool { return i.name == name })
}

// setExpiry makes the item live for as long as any of its instances. The interval
// is that of the latest.
func (s *ServerItem) setExpiry() {
	s.interval = s.instances[len(s.instances)-1].interval
	s.lateAt, s.expiresAt = time.Time{}, time.Time{}
	for _, i := range s.instances {
		if i.lateAt.After(s.lateAt) {
			s.lateAt = i.lateAt
		}
		if i.expiresAt.After(s.expiresAt) {
			s.expiresAt = i.expiresAt
		}
	}
}

// renewedBy returns a copy of the item whose lease an instance has renewed, saying
// nothing new.
func (s *ServerItem) renewedBy(name string, now time.Time, timeout time.Duration) *ServerItem {
	renewed := *s
	renewed.instance, renewed.instances, renewed.Silent, renewed.inGrace = name, nil, false, false
	renewed.renew(now, timeout)
	renewed.joinInstances(s, now, timeout > 0)
	return &renewed
}

// remainingWithout returns the instances that remain when one deregisters: the
// later ones, and of the earlier ones those that sent a heartbeat since it
// registered or are not late. An earlier one that did neither has died without
// deregistering, and its address was taken over.
func (s *ServerItem) remainingWithout(name string, now time.Time) (rest []instance) {
	i := slices.IndexFunc(s.instances, func(i instance) bool { return i.name == name })
	if i < 0 {
		return s.instances
	}
	for j, other := range s.instances {
		if j > i || j < i && (other.lastBeat.After(s.instances[i].since) || now.Before(other.lateAt)) {
			rest = append(rest, other)
		}
	}
	return rest
}

// deregistered has the names of instances that deregistered lately.
// GeeRegistry.mu guards it.
type deregistered struct {
	until map[string]time.Time
	order []string // the earliest first
}

// add notes that an instance has deregistered.
func (d *deregistered) add(name string, now time.Time) {
	if d.until == nil {
		d.until = make(map[string]time.Time)
	}
	for len(d.order) > 0 && (len(d.order) >= maxDeregistered || now.After(d.until[d.order[0]])) {
		delete(d.until, d.order[0])
		d.order = d.order[1:]
	}
	if _, there := d.until[name]; !there {
		d.order = append(d.order, name)
		d.until[name] = now.Add(deregisteredTime)
	}
}

// has reports whether an instance has deregistered within deregisteredTime.
func (d *deregistered) has(name string, now time.Time) bool { return now.Before(d.until[name]) }
