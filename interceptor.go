package geerpc

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
)

// A CallFunc makes a call, or handles one: Client.Call is a CallFunc, and so
// is what a server does with a request.
//
// On a client, args and reply are what the caller passed. On a server, args is
// of the method's argument type and reply of its reply type, a pointer.
type CallFunc func(ctx context.Context, serviceMethod string, args, reply any) error

// An Interceptor wraps a CallFunc. It may look at or change what goes in and
// what comes out, call next never, once or, if the method allows, again:
//
//	func logged(next geerpc.CallFunc) geerpc.CallFunc {
//		return func(ctx context.Context, serviceMethod string, args, reply any) error {
//			err := next(ctx, serviceMethod, args, reply)
//			log.Print(serviceMethod, " ", err)
//			return err
//		}
//	}
//
// A client's interceptors are in its Option, a server's in Server. Calls of
// methods that do not exist pass a server's interceptors as well, under the
// name [UnknownMethod], so that names a peer makes up never become labels.
// A method that panics returns to them as the error that the client gets. They
// are not called for arguments that can't be decoded, and for calls that are
// refused before their method is looked at. A reply is encoded after they have
// returned. If that fails, the caller gets an error that they do not see, and the
// Logger is told. A call that was answered at its handle timeout returns to them as
// its method does, later; ctx.Err tells. Once a caller has been told that its method
// never ran, by that timeout or by an error that an interceptor returned, next fails
// and does not run it.
//
// An Interceptor that returns nil makes all calls fail.
//
// With interceptors, Client.Go runs its call on a goroutine of its own, since
// they may wait: its calls are then sent in any order.
type Interceptor func(next CallFunc) CallFunc

// UnknownMethod is the name under which interceptors see a call of a method
// that does not exist.
const UnknownMethod = "unknown"

// A Caller makes calls. *Client is one, and so is *xclient.XClient.
type Caller interface {
	Call(ctx context.Context, serviceMethod string, args, reply any) error
}

// chain wraps f in interceptors, the first outermost. Nil ones are left out. One
// that returns nil refuses all calls: it may have been to authorize them.
func chain(interceptors []Interceptor, f CallFunc) CallFunc {
	for i := len(interceptors) - 1; i >= 0; i-- {
		if interceptors[i] == nil {
			continue
		}
		if f = interceptors[i](f); f == nil {
			f = noCallFunc
		}
	}
	return f
}

func noCallFunc(context.Context, string, any, any) error {
	return &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
		Message: "rpc: an interceptor returned nil in place of a CallFunc"}
}

// An interceptedCall is a CallFunc in a server's interceptors, which wrap it once. They
// are set before the first call.
type interceptedCall struct {
	once sync.Once
	call CallFunc
}

// get returns what build has returned, the first time. If an interceptor panics in it,
// all calls are refused: it may have been to authorize them.
func (i *interceptedCall) get(build func() CallFunc) CallFunc {
	i.once.Do(func() {
		i.call = refuseAll
		i.call = build()
	})
	return i.call
}

// An interceptedMethod is a method in a server's interceptors.
type interceptedMethod struct {
	interceptedCall

	// contexts has the contexts of calls that are in interceptors, by their replies. An
	// interceptor may call next with a context or a reply of its own making, but not
	// with the reply of one call and the context of another.
	contexts sync.Map
}

// inInterceptors returns the method in the server's interceptors. If one of these is
// nil, calls are refused: it may have been to authorize them.
func (m *method) inInterceptors(s *Server) CallFunc {
	return m.intercepted.get(func() CallFunc {
		if slices.ContainsFunc(s.Interceptors, func(i Interceptor) bool { return i == nil }) {
			return refuseAll
		}
		return chain(s.Interceptors, func(ctx context.Context, _ string, args, reply any) error {
			return m.callIntercepted(ctx, args, reply)
		})
	})
}

// rejectUnknown is what interceptors call as next if the method does not exist.
func rejectUnknown(ctx context.Context, _ string, _, _ any) error {
	if c := callFrom(ctx); c != nil && c.unknown != nil {
		return c.unknown
	}
	return errForeignContext
}

// callIntercepted is what interceptors call as next. They see a panic of the method as
// the error that the caller gets.
func (m *method) callIntercepted(ctx context.Context, args, reply any) (err error) {
	var c *callContext
	defer func() {
		p := recover()
		switch {
		case p != nil && c == nil: // ctx is nil, or panics itself
			err = newError(CodeInternal, InServer, RanNever, m.String(), errForeignContext)
		case p != nil:
			err = c.conn.methodPanicked(m.String(), p)
		}
	}()
	c = callFrom(ctx)
	if own, known := m.intercepted.contexts.Load(reply); c == nil || known && own != c {
		return errForeignContext // nobody could tell whether the method has run
	}
	if !c.start.begin() {
		return errLateNext
	}
	argv := reflect.ValueOf(args)
	if args == nil { // an argument that is an interface may be nil
		argv = reflect.New(m.argType).Elem()
	}
	return methodError(m.invoke(ctx, argv, reflect.ValueOf(reply)))
}

var errLateNext error = &Error{Code: CodeCanceled, Where: InServer, Ran: RanNever,
	Message: "rpc server: the method is not run: its caller has been told that it never was"}

var errForeignContext = errors.New("rpc server: an interceptor called next with a context that is not made from its own")

func refuseAll(context.Context, string, any, any) error {
	return &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: "rpc server: one of Server.Interceptors is nil, or panicked when it was to wrap the method"}
}
