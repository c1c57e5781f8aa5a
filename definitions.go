package geerpc

// Each side tells the other in the handshake how many bytes of gob type
// definitions it takes on the connection, so that a call which needs more
// fails alone. The number is left out if it is the default, and negative for no
// limit; on a connection, 0 is no limit.

// announcedDefinitions returns what the handshake says of a limit.
func announcedDefinitions(limit int) wireLimit {
	switch limit {
	case 0:
		return -1
	case DefaultMaxDefinitionBytes:
		return 0
	}
	return wireLimit(limit)
}

// peerDefinitions returns the limit that the peer has announced.
func peerDefinitions(announced wireLimit) int {
	switch {
	case announced == 0:
		return DefaultMaxDefinitionBytes
	case announced < 0:
		return 0
	}
	return announced.int()
}
