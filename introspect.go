package geerpc

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"geerpc/internal/describe"
	"geerpc/internal/introspect"
)

// Introspection: the service "geerpc", with which every Server describes itself. Its
// methods are called like any others, and pass Server.Admit and the interceptors. They
// are not among those that are registered, so that neither Services nor the debug page
// nor a registry has them.

// An introspection is what a Server needs to describe itself.
type introspection struct {
	once      sync.Once
	described sync.Map // introspect.MethodInfo by *method: to describe types takes time
}

// offerIntrospection publishes the methods, unless the Server is not to have them. It is
// called for each connection, before the first call.
func (s *Server) offerIntrospection() {
	s.introspection.once.Do(func() {
		if s.DisableIntrospection {
			return
		}
		describe := newFuncMethod(introspect.Describe, s.describe)
		s.registry.builtin = map[string]*method{introspect.Describe: describe}
	})
}

// describe is the method geerpc.Describe.
func (s *Server) describe(_ context.Context, args introspect.DescribeArgs) (*introspect.Description, error) {
	services := s.registry.byService()
	names := slices.Sorted(maps.Keys(services))
	if name := args.Service; name != "" {
		if services[name] == nil && name != introspect.Service {
			return nil, Errorf(CodeNotFound, "rpc server: can't find service %.256s", name)
		}
		names = []string{name}
	}
	d := &introspect.Description{Version: introspect.Version, Build: introspect.OwnBuild(), Services: []introspect.ServiceInfo{}}
	for _, name := range names {
		methods := services[name]
		if name == introspect.Service {
			methods = slices.Collect(maps.Values(s.registry.builtin))
		}
		d.Services = append(d.Services, s.describeService(name, methods))
	}
	return d, nil
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
