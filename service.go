package geerpc

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"geerpc/internal/callstats"
	"geerpc/internal/introspect"
	"geerpc/internal/values"
)

// Services. A request names "Service.Method". The registry finds the method by that
// name; registering a value fills it:
//
//	Register(Arith{}) ─→ methodsOf: each exported method, by package reflect
//	                     newMethod: is it func(args, *reply) error, or with a context?
//	                     registry.add: "Arith.Add" → method
//	a request for "Arith.Add" ─→ registry.method ─→ method.invoke

// A method is what a request can name: a method of a registered value, or a registered
// function.
type method struct {
	service, name string       // no service: the name is that of a function
	argType       reflect.Type // as declared, perhaps a pointer
	replyType     reflect.Type // as declared, a pointer
	wantsContext  bool

	// invoke runs the method. argv and replyv have the declared types.
	invoke func(ctx context.Context, argv, replyv reflect.Value) error

	makesReply     bool // a reply that is a map or a slice is made before the call, as in net/rpc
	repliesPointer bool // the reply that it sets is a pointer; see body

	copiesArgs, copiesReply bool // it has only copies of them, so that they can be used again

	intercepted interceptedMethod

	pace atomic.Int32 // how many calls in a row were quick; see inline.go

	_ [64]byte // keeps what all calls read apart from what all calls write

	// Calls that have begun and not ended are running.
	begun atomic.Int64
	stats callstats.Recorder // of those that have ended
}

// String returns the name by which the method is called.
func (m *method) String() string { return introspect.FullName(m.service, m.name) }

// explain returns why arguments could not be decoded, with what the method takes, and what
// the caller can do about it where that is an interface.
func (m *method) explain(err error) error {
	if m.argType.Kind() != reflect.Interface {
		return fmt.Errorf("%w (the method takes %.100v)", err, m.argType)
	}
	return fmt.Errorf("%w (the method takes the interface %v: over gob, pass a pointer to one; JSON decodes into any, but not into an interface with methods)", err, m.argType)
}

// body returns a reply as it is encoded: a pointer to a value that is no pointer itself.
// It is nil if the method has replied with a nil pointer, which codecs send as null or
// as the zero value.
func (m *method) body(replyv reflect.Value) any {
	if m.repliesPointer {
		replyv = values.Innermost(replyv)
	}
	return replyv.Interface()
}

// A registry holds what a server offers. Reading is a load and a look-up; adding copies.
type registry struct {
	mu       sync.Mutex // held by writers
	services atomic.Pointer[map[string][]*method]
	methods  atomic.Pointer[map[string]*method] // by "Service.Method"
	unknown  callstats.Refusals                 // calls of methods that are missing
	builtin  map[string]*method                 // the Server's own; not changed any more when there are connections

	unfit  map[string]error // methods that were skipped, and why; guarded by mu
	values map[string]bool  // services that have a value; guarded by mu
}

// method returns the method of a name, or nil.
func (r *registry) method(serviceMethod string) *method {
	if methods := r.methods.Load(); methods != nil {
		if m := (*methods)[serviceMethod]; m != nil {
			return m
		}
	}
	return r.builtin[serviceMethod]
}

// byService returns the methods of each service. They must not be changed.
func (r *registry) byService() map[string][]*method {
	if services := r.services.Load(); services != nil {
		return *services
	}
	return nil
}

// hasService reports whether there is a service of a name.
func (r *registry) hasService(name string) bool {
	return r.byService()[name] != nil || name == introspect.Service && r.builtin != nil
}

// missing returns the error for a call of a method that is not there.
func (r *registry) missing(serviceMethod string) *Error {
	e := &Error{Code: CodeNotFound, Where: InServer, Ran: RanNever}
	dot := strings.LastIndexByte(serviceMethod, '.')
	if dot <= 0 {
		e.Code = CodeInvalidArgument
		e.Message = fmt.Sprintf("rpc server: service/method request ill-formed: %.256q, want \"Service.Method\"", serviceMethod)
		return e
	}
	service, name := serviceMethod[:dot], serviceMethod[dot+1:]
	if !r.hasService(service) {
		e.Message = fmt.Sprintf("rpc server: can't find service %.256s%s", service, meant(service, maps.Keys(r.byService())))
		return e
	}
	e.Message = fmt.Sprintf("rpc server: can't find method %.256s of service %s", name, service)
	if why := r.whyUnfit(serviceMethod); why != nil {
		e.Message += fmt.Sprintf(": it was left out, for it %v", why)
		return e
	}
	e.Message += meant(name, func(yield func(string) bool) {
		for _, m := range r.byService()[service] {
			if !yield(m.name) {
				return
			}
		}
	})
	if name != "" && !token.IsExported(name) {
		e.Message += " (the name of a method begins with a capital letter, for it must be exported)"
	}
	return e
}

// missingInNetRPC returns the text that package net/rpc has for missing.
func (r *registry) missingInNetRPC(serviceMethod string) string {
	what := "can't find method"
	switch dot := strings.LastIndexByte(serviceMethod, '.'); {
	case dot < 0:
		what = "service/method request ill-formed:"
	case !r.hasService(serviceMethod[:dot]):
		what = "can't find service"
	}
	return fmt.Sprintf("rpc: %s %.256s", what, serviceMethod)
}

// meant asks whether one of the names is meant that differs from a wrong one only by
// upper and lower case, if there is such a name.
func meant(wrong string, names iter.Seq[string]) string {
	for name := range names {
		if strings.EqualFold(name, wrong) {
			return "; is " + name + " meant?"
		}
	}
	return ""
}

func (r *registry) whyUnfit(serviceMethod string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unfit[serviceMethod]
}

// noteUnfit notes why methods of a service can't be called.
func (r *registry) noteUnfit(service string, methods []unfitMethod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unfit == nil {
		r.unfit = make(map[string]error)
	}
	for _, m := range methods {
		r.unfit[service+"."+m.name] = m.why
	}
}

// An unfitMethod is an exported method that can't be called.
type unfitMethod struct {
	name string
	why  error
}

// add publishes methods of one service, all or none: those of a value, of which a
// service has one at most, or a function.
func (r *registry) add(service string, value bool, methods ...*method) error {
	if service == introspect.Service {
		return errors.New("rpc: the service name " + service + " is reserved: see Server.DisableIntrospection")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	services, byName := map[string][]*method{}, map[string]*method{}
	for name, ms := range r.byService() {
		services[name] = ms
		for _, m := range ms {
			byName[m.String()] = m
		}
	}
	if value && r.values[service] {
		return errors.New("rpc: service already defined: " + service)
	}
	for _, m := range methods {
		if byName[m.String()] != nil {
			return errors.New("rpc: method already defined: " + m.String())
		}
		byName[m.String()] = m
	}
	services[service] = append(slices.Clone(services[service]), methods...)
	r.services.Store(&services)
	r.methods.Store(&byName)
	if value {
		if r.values == nil {
			r.values = make(map[string]bool)
		}
		r.values[service] = true
	}
	return nil
}

// methodsOf returns the callable methods of rcvr. Of those that only names, if
// any, each must be callable; otherwise one must be at least.
func methodsOf(service string, rcvr any, only []string) (found []*method, unfit []unfitMethod, err error) {
	v := reflect.ValueOf(rcvr)
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if len(only) > 0 && !slices.Contains(only, m.Name) {
			continue
		}
		made, err := newMethod(service, m, v)
		if err != nil {
			unfit = append(unfit, unfitMethod{m.Name, err})
			continue
		}
		found = append(found, made)
	}
	if len(found) > 0 || len(only) > 0 {
		unfit = append(unfit, missedMethods(service, v.Type(), only)...)
	}
	if len(found) == 0 || len(only) > 0 && len(unfit) > 0 {
		return nil, nil, unsuitable(service, v.Type(), unfit, len(only) > 0)
	}
	return found, unfit, nil
}

// missedMethods returns the methods that only a pointer to t has, and names in only that
// no method has.
func missedMethods(service string, t reflect.Type, only []string) (missed []unfitMethod) {
	pointer := reflect.PointerTo(t)
	for i := range pointer.NumMethod() { // none, if t is a pointer
		m := pointer.Method(i)
		if _, has := t.MethodByName(m.Name); has || len(only) > 0 && !slices.Contains(only, m.Name) {
			continue
		}
		if _, err := newMethod(service, m, reflect.Zero(pointer)); err == nil {
			missed = append(missed, unfitMethod{m.Name, fmt.Errorf("has a pointer receiver: register a *%s", t)})
		}
	}
	for _, name := range only {
		_, has := t.MethodByName(name)
		if _, onPointer := pointer.MethodByName(name); !has && !onPointer {
			missed = append(missed, unfitMethod{name, errors.New("does not exist")})
		}
	}
	return missed
}

// unsuitable says why a type can't be registered, or not with the methods that were
// chosen of it.
func unsuitable(service string, t reflect.Type, unfit []unfitMethod, chosen bool) error {
	what := " lacks methods of suitable type, func(args A, reply *R) error or with a context.Context in front"
	if chosen {
		what = ""
	} else if t.Kind() != reflect.Pointer && reflect.PointerTo(t).NumMethod() > t.NumMethod() {
		what += "; it has methods with a pointer receiver: register a *" + t.String()
	}
	if len(unfit) > 0 {
		what += ": " + causes(unfit)
	}
	return fmt.Errorf("rpc: service %s: type %s%s", service, t, what)
}

// causes lists why methods are unfit.
func causes(unfit []unfitMethod) string {
	list := make([]string, len(unfit))
	for i, m := range unfit {
		list[i] = fmt.Sprintf("method %s %v", m.name, m.why)
	}
	return strings.Join(list, "; ")
}

var (
	errorType   = reflect.TypeFor[error]()
	contextType = reflect.TypeFor[context.Context]()
)

// newMethod makes a method of one of rcvr's, if it is suitable.
func newMethod(service string, m reflect.Method, rcvr reflect.Value) (*method, error) {
	t := m.Type // its first parameter is the receiver
	in := t.NumIn() - 1
	wantsContext := in == 3 && t.In(1) == contextType
	if in != 2 && !wantsContext {
		return nil, errors.New("does not take args and a reply, with or without a context.Context in front")
	}
	argType, replyType := t.In(t.NumIn()-2), t.In(t.NumIn()-1)
	switch {
	case t.NumOut() != 1 || t.Out(0) != errorType:
		return nil, errors.New("does not return an error and nothing else")
	case argType == contextType:
		return nil, errors.New("takes a context and no arguments")
	case replyType.Kind() != reflect.Pointer:
		return nil, fmt.Errorf("has the reply type %s, which is not a pointer", replyType)
	case !exportedOrBuiltin(argType):
		return nil, fmt.Errorf("has the argument type %s, which is not exported", argType)
	case !exportedOrBuiltin(replyType):
		return nil, fmt.Errorf("has the reply type %s, which is not exported", replyType)
	}
	made := &method{service: service, name: m.Name, argType: argType, replyType: replyType,
		wantsContext: wantsContext, makesReply: true, copiesArgs: values.IsCopied(argType),
		repliesPointer: replyType.Elem().Kind() == reflect.Pointer}
	made.invoke = func(ctx context.Context, argv, replyv reflect.Value) error {
		in := []reflect.Value{rcvr, argv, replyv}
		if wantsContext {
			in = []reflect.Value{rcvr, contextValue(ctx), argv, replyv}
		}
		err, _ := m.Func.Call(in)[0].Interface().(error)
		return err
	}
	return made, nil
}

// contextValue returns ctx as an argument of the type context.Context. If it had the
// type of what is in there, reflect would compare that type's methods in each call.
func contextValue(ctx context.Context) reflect.Value { return reflect.ValueOf(&ctx).Elem() }

func exportedOrBuiltin(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return token.IsExported(t.Name()) || t.PkgPath() == ""
}
