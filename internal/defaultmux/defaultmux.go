// Package defaultmux puts handlers on http.DefaultServeMux, which other packages
// of the program use too.
package defaultmux

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
)

var errTaken = errors.New("another handler has it")

// mu keeps two calls of Handle apart, which may be for the same path.
var mu sync.Mutex

// Handle puts h at a path. It fails, and leaves the path as it is, if another
// handler is there, or a pattern that conflicts with the path. If h is there
// already, Handle does nothing.
func Handle(path string, h http.Handler) (err error) {
	mu.Lock()
	defer mu.Unlock()
	defer func() {
		if v := recover(); v != nil { // that is how a mux refuses a pattern
			err = fmt.Errorf("%v", v)
		}
	}()
	mux := http.DefaultServeMux
	taken, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	switch {
	case pattern != path:
		mux.Handle(path, h)
	case taken != h:
		return errTaken
	}
	return nil
}
