// Package registryapi is the HTTP protocol between a registry and the programs
// that ask it or register with it, as far as both sides have to agree on it. The
// documentation of package registry describes the whole.
//
// The statuses of an answer:
//
//	200  the list, or what has changed; of a POST or a DELETE: done
//	400  the request can't be what is meant
//	401  the token is missing or wrong
//	403  a browser may not write
//	404  no registry is there; it never says so itself
//	410  a late heartbeat of an instance that has deregistered
//	503  with Retry-After: too much to do for this request;
//	     without: the registry is stopping, or the request was given up
package registryapi

// DefaultPath is where a registry is, as a rule.
const DefaultPath = "/_geerpc_/registry"

// PathHint is added to the error when there is no registry at a URL.
const PathHint = "is the path " + DefaultPath + "?"

// The headers of a registration.
const (
	ServerHeader   = "X-Geerpc-Server"   // the address
	IntervalHeader = "X-Geerpc-Interval" // between two heartbeats
	VersionHeader  = "X-Geerpc-Version"  // missing: GeeRPC's original version
	ServicesHeader = "X-Geerpc-Services" // separated by commas
	WeightHeader   = "X-Geerpc-Weight"
	MetadataHeader = "X-Geerpc-Metadata" // as the query of a URL
	InstanceHeader = "X-Geerpc-Instance"

	Version = "1" // of our servers
)

// The headers of an answer.
const (
	ServersHeader = "X-Geerpc-Servers" // the addresses, separated by commas
	IndexHeader   = "X-Geerpc-Index"
)
