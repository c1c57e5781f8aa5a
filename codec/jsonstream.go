package codec

import (
	"io"

	"geerpc/internal/wire"
)

// A jsonStream is a stream of messages in JSON.
type jsonStream struct {
	stream
	scan jsonScan // of the message to be read next
}

// Ready implements Extended. ReadHeader will not scan again what this has seen.
func (s *jsonStream) Ready() bool { return s.scan.scan(s.conn.Buffered()[s.message:]) }

// await waits for the whole of the next message.
func (s *jsonStream) await() error {
	for {
		complete := s.scan.scan(s.conn.Buffered())
		if wire.Exceeds(s.scan.end, s.conn.MaxRead) {
			return wire.TooLarge(s.scan.end, s.conn.MaxRead)
		}
		if complete {
			return nil
		}
		if err := s.conn.More(); err != nil {
			if err == io.EOF && s.scan.begun() {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// take takes the message that has been awaited, and returns its parts. The newline at
// its end goes with it, so that nothing is left in the buffer of a connection that is
// idle.
func (s *jsonStream) take() (header, body []byte) {
	data, at := s.conn.Buffered(), s.scan
	s.message, s.scan = at.end, jsonScan{alone: at.alone}
	if at.end < len(data) && data[at.end] == '\n' {
		s.message++
	}
	return data[:at.header], data[at.header:at.end]
}
