package geerpc

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"geerpc/internal/callstats"
	"geerpc/internal/describe"
	"geerpc/internal/introspect"
	"geerpc/internal/monotime"
)

// Introspection: the service "geerpc", with which every Server describes itself. Its
// methods are called like any others, and pass Server.Admit and the interceptors. But
// they are not registered, so Services, the debug page and registries don't list them.

// An introspection is what a Server needs to describe itself.
type introspection struct {
	once      sync.Once
	described sync.Map // introspect.MethodInfo by *method, because describing types takes time
}

// offerIntrospection publishes the methods, unless DisableIntrospection is set. It is
// called for each connection, before its first call.
func (s *Server) offerIntrospection() {
	s.introspection.once.Do(func() {
		if s.DisableIntrospection {
			return
		}
		s.registry.builtin = map[string]*method{
			introspect.Describe: newFuncMethod(introspect.Describe, s.describe),
			introspect.Stats:    newFuncMethod(introspect.Stats, s.stats),
		}
	})
}

// describe is the method geerpc.Describe.
func (s *Server) describe(_ context.Context, args introspect.Args) (*introspect.Description, error) {
	services, err := s.inQuestion(args)
	if err != nil {
		return nil, err
	}
	d := &introspect.Description{Version: introspect.Version, Build: introspect.OwnBuild(), Services: []introspect.ServiceInfo{}}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		d.Services = append(d.Services, s.describeService(name, services[name]))
	}
	return d, nil
}

// inQuestion returns the services that args name, with their methods.
func (s *Server) inQuestion(args introspect.Args) (map[string][]*method, error) {
	services := s.registry.byService()
	if args.Service == "" {
		return services, nil
	}
	methods := services[args.Service]
	if args.Service == introspect.Service {
		methods = slices.Collect(maps.Values(s.registry.builtin))
	}
	if methods == nil {
		return nil, Errorf(CodeNotFound, "rpc server: can't find service %.256s", args.Service)
	}
	return map[string][]*method{args.Service: methods}, nil
}

func (s *Server) describeService(name string, methods []*method) introspect.ServiceInfo {
	info := introspect.ServiceInfo{Name: name, Methods: []introspect.MethodInfo{}, Skipped: s.registry.skipped(name)}
	for _, m := range methods {
		info.Methods = append(info.Methods, s.introspection.describe(m))
	}
	slices.SortFunc(info.Methods, func(a, b introspect.MethodInfo) int { return cmp.Compare(a.Name, b.Name) })
	return info
}

func (i *introspection) describe(m *method) introspect.MethodInfo {
	if info, known := i.described.Load(m); known {
		return info.(introspect.MethodInfo)
	}
	info := introspect.MethodInfo{Name: m.name, Signature: m.signature(), Args: describe.Of(m.argType), Reply: describe.Of(m.replyType)}
	i.described.Store(m, info)
	return info
}

// skipped returns the methods of a service that can't be called, and why.
func (r *registry) skipped(service string) []introspect.Skipped {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []introspect.Skipped{}
	for serviceMethod, why := range r.unfit {
		if dot := strings.LastIndexByte(serviceMethod, '.'); serviceMethod[:dot] == service {
			list = append(list, introspect.Skipped{Name: serviceMethod[dot+1:], Reason: why.Error()})
		}
	}
	slices.SortFunc(list, func(a, b introspect.Skipped) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// stats is the method geerpc.Stats.
func (s *Server) stats(_ context.Context, args introspect.Args) (*introspect.Statistics, error) {
	services, err := s.inQuestion(args)
	if err != nil {
		return nil, err
	}
	status := s.conns.Status()
	st := &introspect.Statistics{Version: introspect.Version, State: status.State, UptimeSeconds: time.Since(status.Since).Seconds(),
		Connections: len(status.Conns), Methods: []introspect.MethodStats{}}
	for _, methods := range services {
		for _, m := range methods {
			st.Methods = append(st.Methods, m.recent())
		}
	}
	slices.SortFunc(st.Methods, func(a, b introspect.MethodStats) int { return cmp.Compare(a.Method, b.Method) })
	return st, nil
}

// recent returns the numbers of a method's calls.
func (m *method) recent() introspect.MethodStats {
	c, w := m.counts(), m.stats.Window(monotime.Now(), callstats.Minute)
	r := introspect.Recent{Seconds: w.Covered.Seconds(), Calls: w.Calls, Errors: w.ErrorsByCode(codeName),
		P50: w.Latency.Quantile(0.5), P90: w.Latency.Quantile(0.9), P99: w.Latency.Quantile(0.99), P999: w.Latency.Quantile(0.999)}
	return introspect.MethodStats{Method: m.String(), Calls: c.Calls, Errors: c.Errors, InFlight: c.InFlight, Minute: r}
}
