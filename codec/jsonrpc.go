package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// JSON-RPC has two dialects: 2.0 (https://www.jsonrpc.org/specification), whose messages
// have a member "jsonrpc", and 1.0 as package net/rpc/jsonrpc speaks it, whose messages
// have none. A server answers each request in the dialect of that request.

// maxID is how many bytes an id may have. It is kept until its request is answered, and
// refusals may wait in any number for a client that does not read.
const maxID = 1 << 10

// A jsonrpcRequest is a request as it arrives.
type jsonrpcRequest struct {
	Version *string         `json:"jsonrpc"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"`
}

// A jsonrpcCall is what the answer to a request depends on.
type jsonrpcCall struct {
	v1     bool            // answered as net/rpc/jsonrpc does
	id     json.RawMessage // as the client wrote it; nil: a notification, which is not answered
	number int             // of the error, if it is no valid request
	batch  *jsonrpcBatch   // of which it is a part; nil: of none
	place  int             // in the batch
}

var jsonNull = json.RawMessage("null")

// parse reads a request. The call that it returns can be answered even if there is an
// error, which is a *json.SyntaxError if data is not JSON.
func (r *jsonrpcRequest) parse(data []byte, batch *jsonrpcBatch, place int) (*jsonrpcCall, error) {
	err := json.Unmarshal(data, r)
	call := &jsonrpcCall{id: r.ID, batch: batch, place: place}
	if err == nil && r.Version == nil && r.Method != nil && batch == nil && len(r.ID) <= maxID {
		call.v1 = true
		if call.id == nil { // net/rpc/jsonrpc answers all requests
			call.id = jsonNull
		}
		return call, nil
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		err = inWords(err)
		call.number = invalidRequest
		if call.id == nil || !r.hasValidID() {
			call.id = jsonNull
		}
	}
	return call, err
}

// inWords replaces an error of encoding/json that names types of ours.
func inWords(err error) error {
	var misfit *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &misfit):
		return err
	case misfit.Field == "":
		return errors.New("it must be an object")
	}
	return fmt.Errorf("its member %q must be a string", misfit.Field)
}

// check returns what is wrong with a request in dialect 2.0.
func (r *jsonrpcRequest) check() error {
	switch {
	case len(r.ID) > maxID:
		return fmt.Errorf(`its member "id" is larger than %d bytes`, maxID)
	case r.Version == nil || *r.Version != "2.0":
		return errors.New(`its member "jsonrpc" must be "2.0"`)
	case r.Method == nil:
		return errors.New(`it has no member "method"`)
	case !r.hasValidID():
		return errors.New(`its member "id" must be a string, a number or null`)
	}
	return nil
}

func (r *jsonrpcRequest) hasValidID() bool {
	switch {
	case len(r.ID) == 0:
		return true
	case len(r.ID) > maxID:
		return false
	}
	first := r.ID[0]
	return first == '"' || first == '-' || first == 'n' || '0' <= first && first <= '9'
}

// jsonrpcCalls are the calls that have been read and not been answered. One goroutine
// adds them, and another one answers them.
type jsonrpcCalls struct {
	mu    sync.Mutex // guards what follows
	last  uint64     // seq of the latest call
	calls map[uint64]*jsonrpcCall
}

// add adds a call and returns its seq. The client's ids can't be that: they may be text,
// and the same for two calls.
func (c *jsonrpcCalls) add(call *jsonrpcCall) (seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[uint64]*jsonrpcCall)
	}
	c.last++
	c.calls[c.last] = call
	return c.last
}

// find returns the call with a seq, or nil.
func (c *jsonrpcCalls) find(seq uint64) *jsonrpcCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[seq]
}

// remove removes the call with a seq, which has been answered.
func (c *jsonrpcCalls) remove(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, seq)
	if len(c.calls) == 0 {
		c.calls = nil // an idle connection keeps none
	}
}

// splitJSON returns the elements of a list that is valid JSON, but no more than max.
func splitJSON(list []byte, max int) (elements []json.RawMessage, more bool) {
	dec := json.NewDecoder(bytes.NewReader(list))
	for dec.Token(); dec.More(); {
		if len(elements) == max {
			return elements, true
		}
		var element json.RawMessage
		if dec.Decode(&element) != nil { // never: the list is valid
			break
		}
		elements = append(elements, element)
	}
	return elements, false
}

// checkJSON returns what is wrong with data, if they are not valid JSON.
func checkJSON(data []byte) error {
	if json.Valid(data) {
		return nil
	}
	return json.Unmarshal(data, new(json.RawMessage))
}
