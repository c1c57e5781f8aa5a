package wire

import (
	"math/bits"
	"sync"
)

// Buffers for large messages are shared by all connections, so that a connection keeps
// none, and none has to be allocated, zeroed and collected for each message. There are
// classes of sizes, each twice the one before. The sizes leave room for a header beside
// a body whose size is a power of two, as many are.
const (
	bufferClasses = 9 // up to 16 MiB
	headerRoom    = 8 << 10
)

var bufferPools [bufferClasses]sync.Pool // of *[]byte

func classSize(class int) int { return maxOwnBuffer<<class + headerRoom }

// takeBuffer returns an empty buffer with room for n bytes at least. There may be bytes
// of another message in that room.
func takeBuffer(n int) []byte {
	class := 0
	if n > classSize(0) {
		class = bits.Len(uint(n-headerRoom-1) / maxOwnBuffer)
	}
	if class >= bufferClasses {
		return make([]byte, 0, n)
	}
	if b, ok := bufferPools[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, classSize(class))
}

// releaseBuffer gives a buffer back, which nobody may use any more. It need not come from
// takeBuffer; one that is too small or too large to be shared is left to the garbage
// collector.
func releaseBuffer(b []byte) {
	n := cap(b)
	if n < classSize(0) || n > 2*classSize(bufferClasses-1) {
		return
	}
	class := min(bits.Len(uint(n-headerRoom)/maxOwnBuffer)-1, bufferClasses-1)
	b = b[:0]
	bufferPools[class].Put(&b)
}
