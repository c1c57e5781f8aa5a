// Package registry tells clients where the servers of a service are. A server
// registers and sends heartbeats; the registry forgets it when it deregisters or
// falls silent. An xclient.GeeRegistryDiscovery keeps a copy of the list and
// learns of changes within moments.
//
// A GeeRegistry is an http.Handler. It runs as a process of its own (geerpc
// registry, in cmd/geerpc) or on the mux of any other program:
//
//	mux.Handle("/_geerpc_/registry", registry.New(registry.DefaultTimeout))
//
// Serve serves a listener and keeps it registered; Register does only the latter.
// For availability, run two or three registries. They don't know of each other:
// a server registers with all of them, a client merges their lists, and any one
// is enough. A registry keeps nothing on disk. After a restart it knows all servers
// again one heartbeat later, and clients use the list that they have until then.
//
// # The protocol
//
// The protocol is plain HTTP. An address is what geerpc.XDial takes:
//
//	POST    X-Geerpc-Server: tcp@10.0.0.1:9999    registers, or is a heartbeat
//	        X-Geerpc-Interval: 10s                until the next heartbeat
//	        X-Geerpc-Version: 1                   GeeRPC's original version has none
//	        X-Geerpc-Services: Arith,Clock        the services that it offers
//	        X-Geerpc-Weight: 2                    its share of the calls
//	        X-Geerpc-Metadata: zone=b&build=7     whatever else callers should know
//	        X-Geerpc-Instance: 3F5K…              a random name of this registration
//	DELETE  X-Geerpc-Server: tcp@10.0.0.1:9999    deregisters
//	        X-Geerpc-Instance: 3F5K…              this registration, and no other of that address
//	GET     answered by X-Geerpc-Servers: tcp@10.0.0.1:9999,tcp@10.0.0.2:9999
//
// All headers but the address are optional. A GET that accepts application/json,
// or asks for ?format=json, is answered with an object: servers is an array of
// ServerItem sorted by address, and index a 64-bit number that differs after each
// change and each restart. X-Geerpc-Index has it too, for languages whose JSON
// numbers are smaller. With ?index=N&wait=30s that GET is a watch: it is answered
// a moment after the index differs from N, or when the time is over, which is 60
// seconds at most. With ?index=N&changes=1 the answer may be the changes since N:
// since is then N, servers has the servers that are new or changed, and gone the
// addresses of those that have left. curl, or whatever else accepts everything or
// asks for ?format=text, gets one address a line. HEAD is answered as GET is, without
// the body.
//
// A browser gets a page, which keeps itself up to date: who is there, since when, who
// is late, and who has left in the last hour. It has the servers of one service with
// ?service=Arith, in another order with ?sort=addr, beat, newest or weight, and is text
// for a terminal with ?format=table. Other formats are answered 400.
//
// Everybody who can reach the registry may read. The same holds for writing, unless
// a Token is set.
package registry
