package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/introspect"
)

// introspect connects to a server that offers the service. If the server does not take
// JSON, it uses gob.
func (t *target) introspect(ctx context.Context, service string) (*geerpc.Client, error) {
	client, err := t.dial(ctx, service, codec.JsonType)
	if geerpc.CodeOf(err) == geerpc.CodeInvalidArgument && isRefused(err) {
		return t.dial(ctx, service, codec.GobType)
	}
	return client, err
}

// ask calls a method of introspection.
func (t *target) ask(ctx context.Context, client *geerpc.Client, method, service string, reply any) error {
	err := client.Call(ctx, method, introspect.Args{Service: service}, reply)
	switch {
	case geerpc.CodeOf(err) != geerpc.CodeNotFound:
		return t.explainCall(ctx, method, err)
	case isRefused(err):
		return &failure{exit: exitBadCall, err: err, hint: "the server does not describe itself: it is older than that, or has DisableIntrospection set"}
	}
	var all introspect.Description
	if client.Call(ctx, introspect.Describe, introspect.Args{}, &all) != nil {
		return &failure{exit: exitBadCall, err: err}
	}
	return noSuchService(service, &all)
}

// describe returns the description of a service, or of all.
func (t *target) describe(ctx context.Context, service string) (*introspect.Description, error) {
	ctx, cancel := t.withTimeout(ctx)
	defer cancel()
	client, err := t.introspect(ctx, service)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	d := new(introspect.Description)
	return d, t.ask(ctx, client, introspect.Describe, service, d)
}

// noSuchService returns the error for a service that is not among those of a server.
func noSuchService(name string, d *introspect.Description) error {
	var names []string
	for _, s := range d.Services {
		names = append(names, s.Name)
	}
	hint := "there are no services"
	if len(names) > 0 {
		hint = "the services are " + strings.Join(names, ", ")
	}
	return &failure{exit: exitBadCall, err: errors.New("there is no service " + name + didYouMean(name, names)), hint: hint}
}

// noSuchMethod returns the error for a method that a service lacks.
func noSuchMethod(name string, s *introspect.ServiceInfo) error {
	i := slices.IndexFunc(s.Skipped, func(m introspect.Skipped) bool { return m.Name == name })
	if i >= 0 {
		return &failure{exit: exitBadCall, err: errors.New(s.Name + "." + name + " can't be called: it " + s.Skipped[i].Reason)}
	}
	var names []string
	for _, m := range s.Methods {
		names = append(names, m.Name)
	}
	return &failure{exit: exitBadCall, err: errors.New("there is no method " + name + " of service " + s.Name + didYouMean(name, names)),
		hint: "its methods are " + strings.Join(names, ", ")}
}
