package codec

import "geerpc/internal/wire"

// A jsonScan finds where the header and the body of a message end. It looks at each
// byte once: it remembers where it stopped, and goes on from there when more has
// arrived.
type jsonScan struct {
	alone   bool             // there is no header: the body is the message, and ends early if it is no JSON
	scanner wire.JSONScanner // of the header and then of the body
	header  int              // where the header ends; 0: not found
	end     int              // how far the scan has come; when it is complete, where the message ends
	done    bool             // the whole message has been seen
	looked  bool             // at the header while there was no body yet
}

// scan goes on in data, the bytes from the beginning of the message on, and reports
// whether they hold all of it.
func (s *jsonScan) scan(data []byte) bool {
	for !s.done {
		s.scanner.Lines, s.scanner.Strict = !s.alone, s.alone
		n, complete := s.scanner.Scan(data[s.end:])
		s.end += n
		switch {
		case !complete && s.header > 0 && !s.looked: // a stray has no body
			s.looked, s.done = true, isStray(data[:s.header])
			return s.done
		case !complete:
			return false
		case s.alone || s.header > 0:
			s.done = true
		default:
			s.header = s.end
			s.scanner = wire.JSONScanner{}
		}
	}
	return true
}

// begun reports whether anything but white space has been seen.
func (s *jsonScan) begun() bool { return s.header > 0 || s.scanner.Begun() }
