// Package gobstream writes and reads the streams of package encoding/gob, byte
// for byte: faster where it can, and safe from what a peer may send. Values go
// in and bytes come out; it knows neither connections nor messages.
//
// # Streams
//
// A stream is a sequence of sections: a length and as many bytes, which begin
// with the id of a type. A section with a negative id defines that type. Any
// other holds a value of a type that has been defined:
//
//	length │ −65 │ definition of type 65
//	length │  65 │ value
//	length │  65 │ value
//
// Interfaces are the exception. If the type of the value inside an interface is
// new to the stream, gob defines it right there, in the middle of the outer
// value, and continues that value in another section:
//
//	length │  65 │ fields, name of type 66 │ −66 │ definition of type 66
//	length │  66 │ length │ value of type 66 │ the other fields
//
// See "Encoding Details" in the documentation of encoding/gob.
//
// # Reading
//
// Only a reader that knows the types can tell where such a value ends. A
// gob.Decoder that skips it, or fails in the middle of it, misses definitions
// that later values need. A decoder also believes what the stream says: it
// makes a map for as many entries as are announced, and follows a recursive
// type as deep as the stream goes.
//
// So the Reader learns all definitions (schema), and walks the values whose
// types hold interfaces, maps or themselves before gob sees them (walk). The
// walk checks a value, finds its end and takes the definitions out of it. The
// decoder then gets the definitions first, and the value in a single section. The
// decoder is made only for the first value that no plan decodes; most streams have
// none.
// Values that a plan decodes are not walked: it believes nothing either, see
// reserve.
//
// # Writing
//
// A value that can't be encoded, or is not sent after all, must not take
// definitions with it that later values need. Nor may a value be encoded twice:
// a user's encoder may have emptied it, or fail the second time.
//
// Gob gives types their ids once for the whole process, not for each stream.
// Therefore the output of any encoder fits any stream that has the definitions.
// The Writer keeps a schema of its own: it removes from an encoder's output
// the definitions that the stream has already, and moves the new ones to the
// front. It can discard an encoder at any time. The next encoder repeats the
// definitions, and the Writer leaves them out.
//
// # Plans
//
// Package gob looks after any reader, any writer and any type, and every value pays
// for that. A plan encodes and decodes the values of one type: it is a graph like the
// type, made once for the process, and goes through a value by itself (plan, planwrite,
// planread). What it writes is what gob would write. Gob still defines and checks
// the types: the first value of each is gob's. It also has all values of types that hold
// an interface, and it decodes again what a plan could not, to say why. A value of a
// peer's type gets a plan of its own if the fields are ours in another order, or if some
// are missing here and have to be ignored (match, ignore).
package gobstream
