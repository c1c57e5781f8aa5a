package xclient

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/page"
	"geerpc/xclient/internal/budget"
)

// settings lists the configuration in force. Of a token it says only whether there is one.
func (xc *XClient) settings() []page.Setting {
	c, opt := &xc.config, &xc.set.opt
	codecType := cmp.Or(opt.CodecType, codec.GobType)
	return []page.Setting{
		{Name: "Balancer", Value: xc.balancerName(), Default: c.Balancer == LeastLoaded()},
		{Name: "Timeout", Value: timeoutText(c.Timeout), Default: c.Timeout == 0},
		{Name: "AttemptTimeout", Value: timeoutText(c.AttemptTimeout), Default: c.AttemptTimeout == 0},
		{Name: "Retry", Value: c.Retry.text(), Default: c.Retry == Retry{}},
		{Name: "Hedge", Value: c.Hedge.text(), Default: c.Hedge == Hedge{}},
		{Name: "Ejection", Value: xc.set.ejection.text(), Default: c.Ejection.isDefault()},
		{Name: "Connections", Value: fmt.Sprintf("%d to each server", xc.set.connsPerServer), Default: c.Connections == 0},
		{Name: "Subset", Value: subsetText(xc.set.subset), Default: c.Subset == 0},
		{Name: "IdleTimeout", Value: timeoutText(xc.set.idleTimeout), Default: c.IdleTimeout == 0},
		{Name: "Interceptors", Value: fmt.Sprintf("%d, and %d of each attempt", len(c.Interceptors), len(opt.Interceptors)), Default: len(c.Interceptors)+len(opt.Interceptors) == 0},
		{Name: "Option.CodecType", Value: string(codecType), Default: codecType == codec.GobType},
		{Name: "Option.ConnectTimeout", Value: timeoutText(opt.ConnectTimeout), Default: opt.ConnectTimeout == geerpc.DefaultOption.ConnectTimeout},
		{Name: "Option.HandleTimeout", Value: timeoutText(opt.HandleTimeout), Default: opt.HandleTimeout == 0},
		{Name: "Option.TLSConfig", Value: setOrNot(opt.TLSConfig != nil), Default: opt.TLSConfig == nil},
		{Name: "Option.Token", Value: setOrNot(opt.Token != ""), Default: opt.Token == ""},
		{Name: "Option.Compression", Value: cmp.Or(strings.Join(opt.Compression, " "), "none"), Default: len(opt.Compression) == 0},
		{Name: "Option.Legacy", Value: fmt.Sprint(opt.Legacy), Default: !opt.Legacy},
	}
}

// balancerName says who picks the servers.
func (xc *XClient) balancerName() string {
	if xc.set.source == nil {
		return "the Discovery's Get"
	}
	return fmt.Sprintf("%T", xc.set.balancer)
}

func (r Retry) text() string {
	r = r.withDefaults()
	if r.MaxAttempts <= 1 {
		return "off"
	}
	share := cmp.Or(r.Budget, budget.DefaultShare)
	limit := fmt.Sprintf("%.0f %% of the calls", 100*share)
	if share < 0 {
		limit = "no budget"
	}
	return fmt.Sprintf("%d attempts, pauses from %s to %s, %s", r.MaxAttempts, max(r.Backoff, 0), pauseText(r.MaxBackoff), limit)
}

func (h Hedge) text() string {
	h = h.withDefaults()
	if h.Delay <= 0 || h.MaxAttempts <= 1 {
		return "off"
	}
	return fmt.Sprintf("%d attempts, each %s after the one before", h.MaxAttempts, h.Delay)
}

// isDefault compares without OnChange, which can't be compared.
func (e Ejection) isDefault() bool {
	return e.Failures == 0 && e.Silence == 0 && e.Backoff == 0 && e.MaxBackoff == 0
}

// text describes an Ejection that has its defaults.
func (e Ejection) text() string {
	if e.Failures < 0 {
		return "off"
	}
	silence := ""
	if e.Silence >= 0 {
		silence = fmt.Sprintf(" or %s without an answer", e.Silence)
	}
	return fmt.Sprintf("after %s in a row%s, for %s to %s", plural(e.Failures, "failure"), silence, e.Backoff, pauseText(e.MaxBackoff))
}

func subsetText(s subset) string {
	if s.size == 0 {
		return "all servers"
	}
	return fmt.Sprintf("%d servers, as ClientID %.80q", s.size, s.client)
}

func timeoutText(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return d.String()
}

func pauseText(d time.Duration) string {
	if d == unlimitedBackoff {
		return "no limit"
	}
	return d.String()
}

func setOrNot(set bool) string {
	if set {
		return "set"
	}
	return "not set"
}
