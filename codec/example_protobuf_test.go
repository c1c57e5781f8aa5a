package codec_test

import (
	"encoding/binary"
	"fmt"
	"net"

	"geerpc/codec"
)

// A codec for Protocol Buffers. Message stands for proto.Message: with the package
// google.golang.org/protobuf/proto, the two functions call proto.Marshal(m) and
// proto.Unmarshal(data, m).
func ExampleFramed_protobuf() {
	protobuf := codec.Framed(
		func(v any) ([]byte, error) {
			m, ok := v.(Message)
			if !ok {
				return nil, fmt.Errorf("%T is not a message of protocol buffers", v)
			}
			return m.Marshal()
		},
		func(data []byte, v any) error {
			m, ok := v.(Message)
			if !ok {
				return fmt.Errorf("%T is not a message of protocol buffers", v)
			}
			return m.Unmarshal(data)
		})
	codec.Register("application/protobuf", protobuf) // in Option.CodecType, on both sides

	here, there := net.Pipe()
	client, server := protobuf(here), protobuf(there)
	defer client.Close()
	go client.Write(&codec.Header{ServiceMethod: "Users.Find", Seq: 1}, &UserID{ID: 300})

	var header codec.Header
	id := new(UserID) // methods take and reply with *UserID and the like
	if err := server.ReadHeader(&header); err != nil {
		fmt.Println(err)
	}
	if err := server.ReadBody(id); err != nil {
		fmt.Println(err)
	}
	fmt.Println(header.ServiceMethod, id.ID)
	// Output: Users.Find 300
}

// A Message is what protoc-gen-go generates, as far as the example needs it.
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// UserID is: message UserID { uint64 id = 1; }
type UserID struct{ ID uint64 }

// Marshal encodes the field 1, a varint.
func (u *UserID) Marshal() ([]byte, error) { return binary.AppendUvarint([]byte{1 << 3}, u.ID), nil }

// Unmarshal decodes what Marshal has encoded.
func (u *UserID) Unmarshal(data []byte) error {
	if len(data) < 2 || data[0] != 1<<3 {
		return fmt.Errorf("%x is no UserID", data)
	}
	u.ID, _ = binary.Uvarint(data[1:])
	return nil
}
