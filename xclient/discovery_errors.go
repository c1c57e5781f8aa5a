package xclient

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"

	"geerpc"
)

// The errors and the log messages of a GeeRegistryDiscovery.

// errFailedLocked returns why no registry has listed servers.
func (d *GeeRegistryDiscovery) errFailedLocked() error {
	var errs []error
	for _, s := range d.sources {
		if s.err == nil {
			return d.errNobodyListed()
		}
		errs = append(errs, s.err)
	}
	return notSent(geerpc.CodeUnavailable, "rpc discovery: %w", errors.Join(append(errs, d.badURLs...)...))
}

// errNobodyListed is the error when the registries list no servers.
func (d *GeeRegistryDiscovery) errNobodyListed() error {
	names := make([]string, len(d.sources))
	for i, s := range d.sources {
		names[i] = s.name
	}
	return notSent(geerpc.CodeUnavailable, "%w in the list of %s", errNoServers, strings.Join(names, ", "))
}

// errNoRegistry is the error when no URL is good.
func (d *GeeRegistryDiscovery) errNoRegistry() error {
	return notSent(geerpc.CodeInvalidArgument, "rpc discovery: %w", errors.Join(d.badURLs...))
}

// A waitedError is why there is no list after a call has waited for the registries
// as long as calls do. Such a call must not be retried: it would wait again.
type waitedError struct{ error }

func (a waitedError) Unwrap() error { return a.error }

// log logs that a registry begins to fail with err, or answers again.
func (d *GeeRegistryDiscovery) log(s *source, before, err error) {
	switch {
	case err != nil && before == nil:
		d.reports.Log(d.Logger, slog.LevelWarn, "rpc discovery: a registry can't be asked, and is going to be tried again", "registry", s.name, "err", err)
	case err == nil && before != nil:
		d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: a registry answers again", "registry", s.name)
	}
}

// logCutOff logs that a registry can't be watched for as long as usual.
func (d *GeeRegistryDiscovery) logCutOff(s *source, wait time.Duration, err error) {
	d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: something on the way to a registry cuts off watches, which are going to be shorter", "registry", s.name, "wait", wait, "err", err)
}

// logOverloaded logs that a registry has too many watches to take another one.
func (d *GeeRegistryDiscovery) logOverloaded(s *source, after time.Duration, err error) {
	d.reports.Log(d.Logger, slog.LevelInfo, "rpc discovery: a registry has no room for this watch, and is going to be asked from time to time until it has", "registry", s.name, "again", after, "err", err)
}

// logBadURLs logs which registries of a Discovery are never asked: to its Logger or,
// if that is nil, to the one of an XClient, if any.
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
