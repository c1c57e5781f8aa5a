package geerpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"geerpc/internal/usercode"
	"geerpc/internal/values"
)

// A TypedMethod calls one method of a server, with the types that it has.
type TypedMethod[A, R any] func(ctx context.Context, caller Caller, args A) (R, error)

// Method returns a handle for calling the named method, so that the compiler
// notices a wrong type:
//
//	var add = geerpc.Method[Args, int]("Arith.Add")
//
//	sum, err := add(ctx, client, Args{1, 2})
//
// The caller is a *Client or an *xclient.XClient.
//
// Where A or R is a pointer, the codec gets it as it is: with a codec that takes
// messages of protocol buffers, A and R may be *pb.Message. The reply is then a
// new value, and nil only if the call has failed. A nil argument, and a nil that
// the method replies with, arrives as the zero value.
//
// Where A is an interface, the codec gets a pointer to it, so that
// gob sends it as one. So the method must have an interface there too, and what
// it holds must be registered with gob.Register, on both sides; the same goes
// for R. JSON knows nothing of types: it can decode into an any, but not into an
// interface with methods.
func Method[A, R any](serviceMethod string) TypedMethod[A, R] {
	how, replyType := howToSend(reflect.TypeFor[A]()), reflect.TypeFor[R]()
	if replyType.Kind() == reflect.Pointer {
		return func(ctx context.Context, caller Caller, args A) (none R, _ error) {
			target, reply := values.NewPointer(replyType)
			if err := caller.Call(ctx, serviceMethod, argsToSend(how, args), target.Interface()); err != nil {
				return none, err
			}
			return reply.Interface().(R), nil
		}
	}
	return func(ctx context.Context, caller Caller, args A) (R, error) {
		var reply R
		err := caller.Call(ctx, serviceMethod, argsToSend(how, args), &reply)
		return reply, err
	}
}

// How arguments of a type are passed to a codec.
const (
	asTheyAre = iota
	byPointer
	unwrapped // of pointers to pointers
)

// howToSend tells how arguments of type t are passed to a codec: in an
// interface by a pointer to it, or that it is one would be lost; and by a
// pointer if only that has the method which encodes them.
func howToSend(t reflect.Type) (how int) {
	switch t.Kind() {
	case reflect.Interface:
		return byPointer
	case reflect.Pointer:
		return unwrapped
	}
	for _, encoder := range usercode.Encoders {
		if reflect.PointerTo(t).Implements(encoder) && !t.Implements(encoder) {
			return byPointer
		}
	}
	return asTheyAre
}

// argsToSend returns args as they are passed to a codec, the zero value in place
// of a nil pointer.
func argsToSend[A any](how int, args A) any {
	switch how {
	case byPointer:
		return pointerTo(args)
	case unwrapped:
		p := values.Innermost(reflect.ValueOf(args))
		if p.IsNil() {
			p = reflect.New(p.Type().Elem())
		}
		return p.Interface()
	}
	return args
}

// pointerTo is a function of its own so that other arguments stay off the heap.
func pointerTo[T any](v T) *T { return &v }

// RegisterFunc publishes a function under the name "Service.Method"; functions
// of the same service may be registered one by one, and beside a value's
// methods. A name without a dot, such as "subtract", is for protocols that have such
// names; an xclient.XClient can't call it. It fails if the name is taken, if its service
// or its method is empty, if f is nil, and if A
// or R is a type that no codec can carry: a channel, a function, or some of them.
// See Server.Register for when it may be called, and Method for pointers and
// interfaces as A and R: over gob, a caller of a function with an interface has
// to pass a pointer to one, as Method does.
func RegisterFunc[A, R any](server *Server, serviceMethod string, f func(context.Context, A) (R, error)) error {
	dot := strings.LastIndexByte(serviceMethod, '.')
	switch {
	case dot == 0 || dot == len(serviceMethod)-1:
		return errors.New("rpc: register function: name " + serviceMethod + ` is not of the form "Service.Method"`)
	case f == nil:
		return errors.New("rpc: register function: " + serviceMethod + " is nil")
	}
	m := newFuncMethod(serviceMethod, f)
	for _, t := range []reflect.Type{m.argType, m.replyType} {
		if bad := values.Unsendable(t); bad != nil {
			return fmt.Errorf("rpc: register function: %s: no codec can carry the type %v", serviceMethod, bad)
		}
	}
	return server.registry.add(m.service, false, m)
}

// newFuncMethod makes a method of a function.
func newFuncMethod[A, R any](serviceMethod string, f func(context.Context, A) (R, error)) *method {
	dot := strings.LastIndexByte(serviceMethod, '.')
	m := &method{
		service: serviceMethod[:max(dot, 0)], name: serviceMethod[dot+1:],
		argType: reflect.TypeFor[A](), replyType: reflect.TypeFor[*R](), wantsContext: true,
		copiesArgs: values.IsCopied(reflect.TypeFor[A]()), copiesReply: values.IsSmall(reflect.TypeFor[R]()),
		repliesPointer: reflect.TypeFor[R]().Kind() == reflect.Pointer,
	}
	m.invoke = func(ctx context.Context, argv, replyv reflect.Value) (err error) {
		*replyv.Interface().(*R), err = f(ctx, argument[A](argv))
		return err
	}
	return m
}

// argument returns what v holds, without a copy on the heap where it can.
func argument[A any](v reflect.Value) A {
	if v.CanAddr() {
		return *v.Addr().Interface().(*A)
	}
	return v.Interface().(A)
}
