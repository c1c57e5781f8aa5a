package gobstream

// An ignored is a type of the peer's whose values have no place here.
type ignored struct {
	schema *schema
	id     int
}

// read goes through a value to its end.
func (i *ignored) read(c *cursor) bool {
	w := walk{cursor: cursor{data: c.data, off: c.off, depth: c.depth}, schema: i.schema}
	w.part(i.id)
	c.off, c.err = w.off, w.err
	return c.err == nil
}

// ignorable reports whether values of a type can be ignored by themselves: it is
// defined, and holds no interface, with which new types may come.
func (v *converter) ignorable(id int, visited map[int]bool) bool {
	t := v.schema.types[id]
	if t == nil {
		return boolID <= id && id < interfaceID
	}
	if visited[id] {
		return true
	}
	visited[id] = true
	if !v.step() {
		return false
	}
	for _, part := range t.parts {
		if !v.ignorable(part, visited) {
			return false
		}
	}
	return true
}
