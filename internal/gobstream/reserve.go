package gobstream

// A peer may announce far more elements than it sends, and do so again in the first of
// them. So there is a limit to the room that all slices and maps of a value, within each
// other, have for elements that have not been seen. Beyond it, a slice begins small, and
// grows as it is filled.
const (
	maxAhead   = 10 << 20 // bytes for a value; what gob allows each slice and map
	smallAhead = 1 << 10  // bytes that each slice and map may have besides
)

// count takes the number of elements of a slice or a map, which take some bytes each at
// least. It returns false if there can't be so many.
func (c *cursor) count(bytes int) (n int, ok bool) {
	x := c.uint()
	return int(x), c.err == nil && x <= uint64(c.left()/bytes)
}

// reserve returns for how many of n elements of a size there may be room in advance, and
// what to take off c.reserved when they have been read.
func (c *cursor) reserve(n int, size uintptr) (ahead, bytes int) {
	if uint64(n)*uint64(size) <= smallAhead {
		return n, 0
	}
	left := max(smallAhead, maxAhead-c.reserved)
	ahead = min(n, max(1, left/int(size)))
	bytes = ahead * int(size)
	c.reserved += bytes
	return ahead, bytes
}
