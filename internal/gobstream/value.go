package gobstream

// A Value is where a Reader has found a value on its stream.
type Value struct {
	start, end int    // offsets; definitions before the value are not part of it
	edits      []edit // make a single section of the value, without definitions; none: it is one
	removed    int    // bytes that the edits make the value shorter
	err        error  // why the value can't be decoded; the stream goes on
}

// An edit replaces bytes of a stream by a length, or removes them.
type edit struct {
	start, end int
	length     int // 0: none
}

// End returns the offset at which the value ends.
func (v *Value) End() int { return v.end }

// section returns the value as a single section. Stream is what was scanned.
func (v *Value) section(stream []byte) []byte {
	if len(v.edits) == 0 {
		return stream[v.start:v.end]
	}
	return v.appendTo(make([]byte, 0, v.end-v.start-v.removed), stream)
}

// appendTo appends the value as a single section to b.
func (v *Value) appendTo(b, stream []byte) []byte {
	at := v.start
	for _, e := range v.edits {
		b = append(b, stream[at:e.start]...)
		if e.length > 0 {
			b = appendUint(b, uint64(e.length))
		}
		at = e.end
	}
	return append(b, stream[at:v.end]...)
}

// An editor collects the edits of a value, in order.
type editor struct {
	edits   []edit
	removed int // bytes that the edits make the value shorter
}

// A frame is bytes behind their length, which changes if a definition is
// removed from them.
type frame struct {
	edit    int // the edit of the length
	removed int // bytes before the frame
}

// open begins a frame whose length stands from start to end.
func (e *editor) open(start, end int) frame {
	e.edits = append(e.edits, edit{start: start, end: end})
	return frame{len(e.edits) - 1, e.removed}
}

// close ends a frame at an offset. If nothing was removed from the frame, its
// length remains as it is.
func (e *editor) close(f frame, at int) {
	if len(e.edits) == f.edit+1 {
		e.edits = e.edits[:f.edit]
		return
	}
	length := &e.edits[f.edit]
	length.length = at - length.end - (e.removed - f.removed)
	e.removed += length.end - length.start - sizeOfUint(uint64(length.length))
}

// remove removes the bytes from start to end.
func (e *editor) remove(start, end int) {
	e.edits = append(e.edits, edit{start: start, end: end})
	e.removed += end - start
}
