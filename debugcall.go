package geerpc

import (
	"context"
	"encoding/json"
	"net"

	"geerpc/codec"
	"geerpc/internal/debugpage"
)

// debugSource is what the debug page needs of a server.
func (s *Server) debugSource() debugpage.Source {
	source := debugpage.Source{Info: s.debugInfo, Describe: s.debugTypes}
	if s.AllowDebugCalls {
		source.Call = s.debugCall
	}
	return source
}

// debugTypes describes what a method takes and replies.
func (s *Server) debugTypes(serviceMethod string) (t debugpage.Types, ok bool) {
	m := s.registry.method(serviceMethod)
	if m == nil {
		return t, false
	}
	info := s.introspection.describe(m)
	return debugpage.Types{Args: info.Args.Go, Reply: info.Reply.Go, Example: string(info.Args.Example)}, true
}

// debugCall calls a method as any client does, on a connection of its own: the call passes
// Admit, the interceptors and the limits.
func (s *Server) debugCall(ctx context.Context, serviceMethod string, args json.RawMessage) (reply json.RawMessage, err error) {
	ours, theirs := net.Pipe()
	go s.ServeConn(theirs) // ends when the client is closed
	client, err := NewClient(ours, &Option{CodecType: codec.JsonType, Token: s.Token, ConnectTimeout: DefaultOption.ConnectTimeout})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	err = client.Call(ctx, serviceMethod, args, &reply)
	return reply, err
}
