package codec_test

import (
	"fmt"
	"net"

	"geerpc/codec"
)

// A codec for values that are bytes already: one line of code for each
// direction.
func ExampleFramed() {
	raw := codec.Framed(
		func(v any) ([]byte, error) {
			switch v := v.(type) {
			case []byte: // the args, as passed to Call
				return v, nil
			case *[]byte: // a reply is a pointer
				return *v, nil
			}
			return nil, fmt.Errorf("a %T is no bytes", v)
		},
		func(data []byte, v any) error {
			into, ok := v.(*[]byte)
			if !ok {
				return fmt.Errorf("a %T can't be filled with bytes", v)
			}
			*into = append((*into)[:0], data...) // data is ours only during the call
			return nil
		})
	codec.Register("application/octet-stream", raw)

	here, there := net.Pipe()
	writer, reader := raw(here), raw(there)
	defer writer.Close()
	go writer.Write(&codec.Header{ServiceMethod: "Echo.Bytes", Seq: 1}, []byte("as they are"))

	var header codec.Header
	var body []byte
	if err := reader.ReadHeader(&header); err != nil {
		fmt.Println(err)
	}
	if err := reader.ReadBody(&body); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s: %s\n", header.ServiceMethod, body)
	// Output: Echo.Bytes: as they are
}
