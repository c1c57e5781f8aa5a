//go:build !linux && !darwin

package wire

import "net"

// limitUnsent does nothing where no such option is known.
func limitUnsent(*net.TCPConn, int) {}
