//go:build linux || darwin

package wire

import (
	"net"
	"runtime"
	"syscall"
)

// limitUnsent has a write wait while more than n bytes in the kernel have not
// been sent, beyond those on their way (TCP_NOTSENT_LOWAT, tcp(7)). It is a
// matter of a better view: if the kernel doesn't know it, nothing is lost.
func limitUnsent(conn *net.TCPConn, n int) {
	option := 0x19
	if runtime.GOOS == "darwin" {
		option = 0x201
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, option, n)
	})
}
