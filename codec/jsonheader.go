package codec

import (
	"encoding/json"
	"fmt"
)

// jsonHeader is a Header as it is sent. The fields behind Error are sent only
// between peers that have agreed on it.
//
// Package encoding/json defines what it looks like. What is written here and in
// jsonparse.go does the same for most headers, in a small part of the time.
type jsonHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
	Kind          string       `json:",omitempty"` // empty: a call or a reply
	Timeout       int64        `json:",omitempty"` // nanoseconds
	Code          uint8        `json:",omitempty"`
	Where         uint8        `json:",omitempty"`
	Ran           uint8        `json:",omitempty"`
	Metadata      jsonMetadata `json:",omitempty"`
}

// maxJSONMetadata limits the bytes of metadata as it is sent. Metadata that the
// core allows takes far fewer.
const maxJSONMetadata = 256 << 10

// jsonMetadata is metadata that is measured before it is decoded.
type jsonMetadata map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *jsonMetadata) UnmarshalJSON(data []byte) error {
	if len(data) > maxJSONMetadata {
		return fmt.Errorf("%w: metadata of %d bytes", ErrTooLarge, len(data))
	}
	return json.Unmarshal(data, (*map[string]string)(m))
}

// newJSONHeader returns h as it is sent.
func newJSONHeader(h *Header, extended bool) jsonHeader {
	jh := jsonHeader{ServiceMethod: h.ServiceMethod, Seq: h.Seq, Error: h.Error}
	if f := &h.frame; extended {
		if f.Kind != Call || h.ServiceMethod == "" { // see kind
			jh.Kind = f.Kind.String()
		}
		jh.Timeout, jh.Code, jh.Where, jh.Ran, jh.Metadata = f.Timeout, f.Code, f.Where, f.Ran, f.Metadata
	}
	return jh
}

// put sets h to what has been received.
func (jh *jsonHeader) put(h *Header, extended bool) {
	*h = Header{ServiceMethod: jh.ServiceMethod, Seq: jh.Seq, Error: jh.Error}
	if extended {
		h.frame = Frame{Kind: jh.kind(), Timeout: jh.Timeout, Code: jh.Code, Where: jh.Where, Ran: jh.Ran, Metadata: jh.Metadata}
	}
}

// kind returns the kind of a message. Without a kind, it is a call if it names a
// method, else a reply.
func (jh *jsonHeader) kind() Kind {
	switch {
	case jh.Kind != "":
		return ParseKind(jh.Kind)
	case jh.ServiceMethod == "":
		return Reply
	}
	return Call
}

// unmarshalJSONHeader decodes a header with package encoding/json. A field of the
// wrong type concerns its message alone, if it is still clear which message that is:
// unfit is the error of such a one.
func unmarshalJSONHeader(data []byte) (jh jsonHeader, unfit, err error) {
	if unfit = json.Unmarshal(data, &jh); unfit == nil {
		return jh, nil, nil
	}
	var id struct {
		ServiceMethod, Kind string
		Seq                 uint64
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return jh, nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	jh.ServiceMethod, jh.Kind, jh.Seq = id.ServiceMethod, id.Kind, id.Seq
	return jh, unfit, nil
}
