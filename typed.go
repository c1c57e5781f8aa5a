package geerpc

import (
	"context"
	"errors"
	"reflect"
	"strings"
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
func Method[A, R any](serviceMethod string) TypedMethod[A, R] {
	return func(ctx context.Context, caller Caller, args A) (R, error) {
		var reply R
		err := caller.Call(ctx, serviceMethod, args, &reply)
		return reply, err
	}
}

// RegisterFunc publishes a function under the name "Service.Method"; functions
// of the same service may be registered one by one, and beside a value's
// methods. It fails if the name is taken or not of that form, or if f is nil.
// See Server.Register for when it may be called.
func RegisterFunc[A, R any](server *Server, serviceMethod string, f func(context.Context, A) (R, error)) error {
	dot := strings.LastIndexByte(serviceMethod, '.')
	switch {
	case dot <= 0 || dot == len(serviceMethod)-1:
		return errors.New("rpc: register function: name " + serviceMethod + ` is not of the form "Service.Method"`)
	case f == nil:
		return errors.New("rpc: register function: " + serviceMethod + " is nil")
	}
	m := &method{
		service: serviceMethod[:dot], name: serviceMethod[dot+1:],
		argType: reflect.TypeFor[A](), replyType: reflect.TypeFor[*R](), wantsContext: true,
		copiesArgs: isCopied(reflect.TypeFor[A]()), copiesReply: reflect.TypeFor[R]().Size() <= maxKept,
	}
	m.invoke = func(ctx context.Context, argv, replyv reflect.Value) (err error) {
		*replyv.Interface().(*R), err = f(ctx, argument[A](argv))
		return err
	}
	return server.registry.add(m.service, false, m)
}

// argument returns what v holds, without a copy on the heap where it can.
func argument[A any](v reflect.Value) A {
	if v.CanAddr() {
		return *v.Addr().Interface().(*A)
	}
	return v.Interface().(A)
}
