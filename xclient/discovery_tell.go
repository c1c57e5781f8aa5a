package xclient

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"

	"geerpc"
)

// What a GeeRegistryDiscovery says: to callers, why there is no list, and to
// loggers, what is wrong with a registry.

// failedLocked returns why there is no list.
func (d *GeeRegistryDiscovery) failedLocked() error {
	var errs []error
	for _, s := range d.sources {
		if s.err == nil {
			return d.nobody()
		}
		errs = append(errs, s.err)
	}
	return notSent(geerpc.CodeUnavailable, "rpc discovery: %w", errors.Join(append(errs, d.badURLs...)...))
}

// nobody returns that the registries list no servers.
func (d *GeeRegistryDiscovery) nobody() error {
	names := make([]string, len(d.sources))
	for i, s := range d.sources {
		names[i] = s.name
	}
	return notSent(geerpc.CodeUnavailable, "%w in the list of %s", errNoServers, strings.Join(names, ", "))
}

// unnamed returns that there is no registry to ask.
func (d *GeeRegistryDiscovery) unnamed() error {
	return notSent(geerpc.CodeInvalidArgument, "rpc discovery: %w", errors.Join(d.badURLs...))
}

// awaited is why there is no list after a call has waited for a registry for as
// long as anybody does: it is not to wait again.
type awaited struct{ error }

func (a awaited) Unwrap() error { return a.error }

// log tells the Logger of a registry that fails with err and did not before, or
// the other way round.
func (d *GeeRegistryDiscovery) log(s *source, before, err error) {
	switch {
	case err != nil && before == nil:
		d.reports.Log(d.Logger, slog.LevelWarn, "rpc discovery: a registry can't be asked, and is going to be tried again", "registry", s.name, "err", err)
	case err == nil && before != nil:
		d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: a registry answers again", "registry", s.name)
	}
}

// logCut tells the Logger that answers of a registry don't arrive that are held
// back for as long as usual.
func (d *GeeRegistryDiscovery) logCut(s *source, wait time.Duration, err error) {
	d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: something on the way to a registry cuts off watches, which are going to be shorter", "registry", s.name, "wait", wait, "err", err)
}

// logCrowded tells the Logger that a registry has too many watches to take
// another one.
func (d *GeeRegistryDiscovery) logCrowded(s *source, after time.Duration, err error) {
	d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: a registry has no room for this watch, and is going to be asked from time to time until it has", "registry", s.name, "again", after, "err", err)
}

// logBadURLs tells which registries of a Discovery are not asked: its Logger, or
// that of an XClient in place of nil, or nobody.
func logBadURLs(d Discovery, instead *slog.Logger) {
	g, ok := d.(*GeeRegistryDiscovery)
	if !ok {
		return
	}
	if logger := cmp.Or(g.Logger, instead); logger != nil {
		for _, err := range g.badURLs {
			logger.Warn("rpc discovery: a registry is never asked", "err", err)
		}
	}
}
