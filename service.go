package geerpc

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"geerpc/internal/replycopy"
)

var (
	errorType   = reflect.TypeFor[error]()
	contextType = reflect.TypeFor[context.Context]()
)

// A method is what a request can name: a method of a registered value, or a
// registered function.
type method struct {
	service, name string
	argType       reflect.Type // as declared, a pointer perhaps
	replyType     reflect.Type // as declared, a pointer
	wantsContext  bool
	takesMade     bool // maps and slices to reply with are made for it, as in net/rpc

	repliesPointer bool // the reply that it sets is a pointer, see body

	copiesArgs, copiesReply bool // what the method has of them are copies, see call.reset

	// invoke runs the method; argv and replyv have the declared types.
	invoke func(ctx context.Context, argv, replyv reflect.Value) error

	once sync.Once // makes handle
	// handle is invoke in the server's interceptors, nil if there are none.
	handle CallFunc

	// intercepted has the contexts of calls that are in interceptors, by reply.
	// An interceptor may call next with a context or a reply of its own making,
	// but not with the reply of one call and the context of another.
	intercepted sync.Map

	pace atomic.Int32 // how many calls in a row were quick; see inline.go

	_ [64]byte // keeps what all workers read apart from what all workers write

	// What has begun and not ended is running: a third counter would be one
	// more cache line operation a call.
	begun, ended, failed atomic.Int64
}

// String returns the name by which the method is called.
func (m *method) String() string { return m.service + "." + m.name }

// begin and end count a call.
func (m *method) begin() { m.begun.Add(1) }

func (m *method) end(failed bool) {
	m.ended.Add(1)
	if failed {
		m.failed.Add(1)
	}
}

// maxKept limits the memory for args, and for a reply, that a spare call keeps.
const maxKept = 256

// isCopied tells whether a method that takes a value of a type has nothing but a
// copy of it, and the value is small enough to be kept. What leads to other
// memory may lead into the value itself: a slice of an array that is in it.
func isCopied(t reflect.Type) bool { return t.Size() <= maxKept && !replycopy.Leads(t) }

// newArgs returns a pointer to decode the arguments into, and the arguments.
func (m *method) newArgs() (argp, argv reflect.Value) {
	if m.argType.Kind() == reflect.Pointer {
		return newPointer(m.argType)
	}
	argp = reflect.New(m.argType)
	return argp, argp.Elem()
}

// newPointer returns a value of the pointer type t, and what a codec decodes
// into to fill it: the same pointer or, if t is a pointer to a pointer, the
// innermost.
func newPointer(t reflect.Type) (target, p reflect.Value) {
	p = reflect.New(t.Elem())
	target = p
	if t.Elem().Kind() == reflect.Pointer {
		var inner reflect.Value
		target, inner = newPointer(t.Elem())
		p.Elem().Set(inner)
	}
	if p.Type() != t { // a named one
		p = p.Convert(t)
	}
	return target, p
}

// explain returns why arguments could not be decoded, with what the caller can
// do about it where the method takes an interface.
func (m *method) explain(err error) error {
	if m.argType.Kind() != reflect.Interface {
		return err
	}
	return fmt.Errorf("%w (the method takes the interface %v: over gob, pass a pointer to one; JSON decodes into any, but not into an interface with methods)", err, m.argType)
}

// newReply returns a pointer to a reply.
func (m *method) newReply() reflect.Value {
	t := m.replyType.Elem()
	replyv := reflect.New(t)
	if m.takesMade {
		switch t.Kind() {
		case reflect.Map:
			replyv.Elem().Set(reflect.MakeMap(t))
		case reflect.Slice:
			replyv.Elem().Set(reflect.MakeSlice(t, 0, 0))
		}
	}
	return replyv
}

// body returns a reply as it is encoded: a pointer to a value that is no pointer
// itself. It is nil if the method has replied with a nil pointer, which codecs
// send as null or as the zero value.
func (m *method) body(replyv reflect.Value) any {
	if m.repliesPointer {
		replyv = innermost(replyv)
	}
	return replyv.Interface()
}

// innermost follows pointers to pointers to the last of them, which is nil if
// one of them is. A type whose pointer codes itself has to be passed so.
func innermost(p reflect.Value) reflect.Value {
	for p.Type().Elem().Kind() == reflect.Pointer {
		if p.IsNil() {
			p = reflect.Zero(p.Type().Elem())
		} else {
			p = p.Elem()
		}
	}
	return p.Convert(reflect.PointerTo(p.Type().Elem())) // its type may have a name
}

// argsOf returns args as invoke takes them: nil, which an argument that is an
// interface may be, as a value of the declared type.
func (m *method) argsOf(args any) reflect.Value {
	if args == nil {
		return reflect.New(m.argType).Elem()
	}
	return reflect.ValueOf(args)
}

// handler returns the method in the server's interceptors, or nil if there are
// none. They are set before the first call. The interceptors see a panic of the
// method as the error that the caller gets.
func (m *method) handler(s *Server) CallFunc {
	m.once.Do(func() {
		if len(s.Interceptors) > 0 {
			m.handle = refuseAll // if an interceptor panics now, it must not be as if there were none
			if slices.ContainsFunc(s.Interceptors, func(i Interceptor) bool { return i == nil }) {
				return // nor if it has been forgotten
			}
			m.handle = chain(s.Interceptors, func(ctx context.Context, _ string, args, reply any) (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = s.panicked(m.String(), p)
					}
				}()
				c := callFrom(ctx)
				if own, known := m.intercepted.Load(reply); c == nil || known && own != c {
					return errForeignContext // nobody could tell whether the method has run
				}
				if !c.start.begin() {
					return errLateNext
				}
				return methodError(m.invoke(ctx, m.argsOf(args), reflect.ValueOf(reply)))
			})
		}
	})
	return m.handle
}

var errLateNext error = &Error{Code: CodeCanceled, Where: InServer, Ran: RanNever,
	Message: "rpc server: the method is not run: its caller has been told that it never was"}

var errForeignContext = errors.New("rpc server: an interceptor called next with a context that is not made from its own")

func refuseAll(context.Context, string, any, any) error {
	return &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: "rpc server: one of Server.Interceptors is nil, or panicked when it was to wrap the method"}
}

// A registry holds what a server offers. Reading costs a load and a look-up;
// writing copies.
type registry struct {
	mu       sync.Mutex // held by writers
	services atomic.Pointer[map[string][]*method]
	methods  atomic.Pointer[map[string]*method]
	unknown  atomic.Int64 // calls to methods that are missing

	unfit  map[string]error // methods that were left out, and why; guarded by mu
	values map[string]bool  // services that have a value; guarded by mu
}

func (r *registry) method(serviceMethod string) *method {
	if methods := r.methods.Load(); methods != nil {
		return (*methods)[serviceMethod]
	}
	return nil
}

// byService returns the methods of each service, not to be changed.
func (r *registry) byService() map[string][]*method {
	if services := r.services.Load(); services != nil {
		return *services
	}
	return nil
}

// missing says why there is no such method, and counts.
func (r *registry) missing(serviceMethod string) *Error {
	r.unknown.Add(1)
	e := &Error{Code: CodeNotFound, Where: InServer, Ran: RanNever}
	dot := strings.LastIndexByte(serviceMethod, '.')
	if dot < 0 {
		e.Message = fmt.Sprintf("rpc server: service/method request ill-formed: %.256q, want \"Service.Method\"", serviceMethod)
		return e
	}
	service, name := serviceMethod[:dot], serviceMethod[dot+1:]
	if r.byService()[service] == nil {
		e.Message = fmt.Sprintf("rpc server: can't find service %.256s", service)
		return e
	}
	e.Message = fmt.Sprintf("rpc server: can't find method %.256s of service %s", name, service)
	if why := r.whyUnfit(serviceMethod); why != nil {
		e.Message += fmt.Sprintf(": it was left out, for it %v", why)
	}
	return e
}

func (r *registry) whyUnfit(serviceMethod string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unfit[serviceMethod]
}

// leaveOut notes why methods of a service can't be called.
func (r *registry) leaveOut(service string, methods []unfitMethod) {
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

// add publishes methods of one service, all or none: those of a value, of
// which a service has one at most, or a function.
func (r *registry) add(service string, value bool, methods ...*method) error {
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
	for _, name := range only {
		if !slices.ContainsFunc(found, func(m *method) bool { return m.name == name }) && !v.MethodByName(name).IsValid() {
			unfit = append(unfit, unfitMethod{name, errors.New("does not exist")})
		}
	}
	if len(found) == 0 || len(only) > 0 && len(unfit) > 0 {
		return nil, nil, unsuitable(service, v.Type(), unfit)
	}
	return found, unfit, nil
}

// unsuitable says why a type can't be registered.
func unsuitable(service string, t reflect.Type, unfit []unfitMethod) error {
	hint := ""
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).NumMethod() > t.NumMethod() {
		hint = "; it has methods on its pointer: register that"
	}
	return fmt.Errorf("rpc: service %s: type %s lacks methods of suitable type, func(args A, reply *R) error or with a context.Context in front%s%s",
		service, t, hint, causes(unfit))
}

// causes lists why methods are unfit, behind a message.
func causes(unfit []unfitMethod) string {
	var list strings.Builder
	separator := ": "
	for _, m := range unfit {
		fmt.Fprintf(&list, "%smethod %s %v", separator, m.name, m.why)
		separator = "; "
	}
	return list.String()
}

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
		wantsContext: wantsContext, takesMade: true, copiesArgs: isCopied(argType),
		repliesPointer: replyType.Elem().Kind() == reflect.Pointer}
	made.invoke = func(ctx context.Context, argv, replyv reflect.Value) error {
		in := []reflect.Value{rcvr, argv, replyv}
		if wantsContext {
			in = []reflect.Value{rcvr, reflect.ValueOf(ctx), argv, replyv}
		}
		err, _ := m.Func.Call(in)[0].Interface().(error)
		return err
	}
	return made, nil
}

func exportedOrBuiltin(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return token.IsExported(t.Name()) || t.PkgPath() == ""
}
