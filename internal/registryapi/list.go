package registryapi

// The limits of a list in JSON. A registry takes no more servers than fit into
// MaxListBytes, and who reads an answer gives up after MaxAnswerBytes.
const (
	MaxListBytes   = 12 << 20
	MaxAnswerBytes = 16 << 20
)

// A List is an answer in JSON: all servers, or what has changed. A registry and
// its readers each have a type of their own for a server.
type List[Server any] struct {
	// Index is a number that changes with the list. It is never 0.
	Index uint64 `json:"index"`

	// Since is the index whose list the changes apply to. 0: Servers are all
	// that there are.
	Since uint64 `json:"since,omitempty"`

	// Gone are the addresses of the servers that have left since then.
	Gone []string `json:"gone,omitempty"`

	// Servers are sorted by address. Those of changes are new, or say something
	// else than before.
	Servers []Server `json:"servers"`
}
