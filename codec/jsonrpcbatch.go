package codec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"

	"geerpc/internal/codes"
	"geerpc/internal/wire"
)

// A peer can't make a server keep any number of answers in memory, by batches with a call
// that takes its time. Each has a limit of its own:
const (
	maxBatch   = 1000   // requests in a batch
	maxBatched = 10_000 // requests in the batches of a connection that have not been answered

	// All answers that a connection has gathered are limited to the size of a message
	// that the client takes or, if that is not known, that we take, but for answers of up
	// to this many bytes, id not included: a refusal always fits.
	smallAnswer = 512
)

// A jsonrpcBatch is a list of requests, whose answers are sent in one list when the last
// is there, in the order of the requests: there are clients that do not look at the ids.
// It belongs to the goroutine that writes.
type jsonrpcBatch struct {
	waiting int      // requests that have not been answered
	answers []byte   // so far, as they came, each behind a comma
	places  [][2]int // where in answers that to each request begins and ends
}

// jsonrpcBatches are the batches of a connection that have not been answered.
type jsonrpcBatches struct {
	requests atomic.Int64 // in them
	gathered int          // bytes of their answers; the writer's
}

func isJSONList(message []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(message, " \t\r\n"), []byte("["))
}

// readBatch takes a batch apart, and puts its first request into h.
func (s *jsonrpcServer) readBatch(h *Header, message []byte) {
	if err := checkJSON(message); err != nil {
		s.refuseLast(h, parseError, codes.InvalidArgument, err)
		return
	}
	entries, more := splitJSON(message, maxBatch)
	none := &jsonrpcCall{id: jsonNull, number: invalidRequest}
	switch {
	case len(entries) == 0:
		s.refuse(h, none, codes.InvalidArgument, errors.New("a batch of no requests"))
	case more:
		s.refuse(h, none, codes.InvalidArgument, fmt.Errorf("a batch of more than %d requests", maxBatch))
	case s.batches.requests.Load()+int64(len(entries)) > maxBatched:
		s.refuse(h, none, codes.ResourceExhausted, fmt.Errorf("more than %d requests in batches that are not answered yet", maxBatched))
	default:
		s.batches.requests.Add(int64(len(entries)))
		s.entries, s.batch = entries, &jsonrpcBatch{waiting: len(entries), places: make([][2]int, len(entries))}
		s.nextEntry(h)
	}
}

// nextEntry puts the next request of the batch into h.
func (s *jsonrpcServer) nextEntry(h *Header) {
	entry, batch := s.entries[0], s.batch
	place := len(batch.places) - len(s.entries)
	s.entries[0] = nil // the call keeps what it needs
	if s.entries = s.entries[1:]; len(s.entries) == 0 {
		s.entries, s.batch = nil, nil
	}
	s.accept(h, entry, batch, place)
	h.frame.Behind = len(s.entries)
}

// gather adds the answer to a call to those of its batch, and sends them all if it is the
// last.
func (s *jsonrpcServer) gather(call *jsonrpcCall, h *Header, body any) error {
	batch := call.batch
	if call.id != nil {
		answers, err := call.appendAnswer(append(batch.answers, ','), h, body)
		if err != nil {
			return err
		}
		n := len(answers) - len(batch.answers)
		most := cmp.Or(s.conn.MaxWrite, s.conn.MaxRead)
		if gathered := s.batches.gathered + n; wire.Exceeds(gathered, most) && n > smallAnswer+len(call.id) {
			return fmt.Errorf("the batch's answers: %w", wire.TooLarge(gathered, most))
		}
		batch.places[call.place] = [2]int{len(batch.answers), len(answers)}
		batch.answers = answers
		s.batches.gathered += n
	}
	if batch.waiting--; batch.waiting > 0 {
		return nil
	}
	s.batches.requests.Add(-int64(len(batch.places)))
	s.batches.gathered -= len(batch.answers)
	if len(batch.answers) == 0 { // all are notifications
		return nil
	}
	buffer, start := s.begin()
	for _, place := range batch.places {
		buffer = append(buffer, batch.answers[place[0]:place[1]]...)
	}
	buffer[start] = '[' // in place of the first comma
	return s.send(append(buffer, "]\n"...), start)
}
