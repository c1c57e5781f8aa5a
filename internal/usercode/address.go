package usercode

import "net"

// RemoteAddr returns the address of the other end of a connection, nil if it has none.
// A panic only means that there is no address, because nothing else is asked for here.
func RemoteAddr(conn any) net.Addr {
	defer func() { recover() }()
	if c, ok := conn.(interface{ RemoteAddr() net.Addr }); ok {
		return c.RemoteAddr()
	}
	return nil
}

// LocalAddr is RemoteAddr for this end.
func LocalAddr(conn any) net.Addr {
	defer func() { recover() }()
	if c, ok := conn.(interface{ LocalAddr() net.Addr }); ok {
		return c.LocalAddr()
	}
	return nil
}

// NetworkAddr returns the text of an address with its network in front, as in
// tcp@10.0.0.1:9999, empty if there is none.
func NetworkAddr(addr net.Addr) (text string) {
	defer func() { recover() }()
	if text := AddrText(addr); text != "" {
		return addr.Network() + "@" + text
	}
	return ""
}

// AddrText returns the text of an address, empty if there is none.
func AddrText(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	defer func() { recover() }()
	return addr.String()
}
