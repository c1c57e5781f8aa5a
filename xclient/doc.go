// Package xclient calls services that run on more than one server. A
// [Discovery] knows the servers, and an [XClient] picks one for each call, or
// calls all of them, over connections that it opens when they are needed. With
// a single server it is a client that reconnects.
//
//	d := xclient.NewGeeRegistryDiscovery("http://10.0.0.1:9999/_geerpc_/registry", 0)
//	defer d.Close()
//	xc := xclient.New(d, xclient.Config{Timeout: 5 * time.Second})
//	defer xc.Close()
//	err := xc.Call(ctx, "Arith.Add", Args{1, 2}, &sum)
//
// A server's address is what geerpc.XDial takes: tcp@10.0.0.1:9999. Programs
// written for GeeRPC make their XClient with [NewXClient].
//
// # Where the servers are
//
// A program that knows them itself says so to [NewMultiServerDiscovery], or to
// [NewEndpoints] with what else there is to know, and later to Update or
// SetEndpoints. [NewGeeRegistryDiscovery] has them from one or several
// registries, see package registry, and learns of changes at once. Calls of a
// service go to the servers that offer it, where their [Endpoint] tells. A
// Discovery of your own needs four methods; one that has Endpoints too, see
// [EndpointDiscovery], leaves the picking to the XClient.
//
// # Which of them is called
//
// That is up to the [Balancer]:
//
//	LeastLoaded       when in doubt: fewer calls to servers that are slow or busy
//	RoundRobin        calls that cost about the same, on servers that are alike
//	Weighted          servers of known, unlike sizes; a small share for a new version
//	ConsistentHash    servers that have at hand what they were asked before
//	Random            many clients with few calls each
//
// [XClient.Call] and [XClient.Go] call one server, [XClient.Broadcast] and
// [XClient.BroadcastAll] call all, and [XClient.Fork] too, to take the first
// good answer.
//
// # The way of a call
//
// [New] takes a [Config], of which each field is a policy of its own. They are
// around a call in this order:
//
//	Interceptors    yours, the first outermost
//	Timeout         a deadline for calls that have none
//	Hedge           a second attempt when the first is slow, if it is idempotent
//	Retry           another attempt where that is safe
//	AttemptTimeout  a deadline for each attempt
//	Subset          some of the servers, where there are many
//	Balancer        picks a server among those that are fit
//	Ejection        notes how the attempt ended
//	Option          the connection, and what intercepts each attempt
//
// A call is made again if its error says that the method never ran, or if it
// may run more than once, which only its caller knows: see [Idempotent].
//
// # What failures do to callers
//
// As long as there are other servers that are fit:
//
//	a server can't be connected to      nothing; it is dialled again from time to time
//	its dials hang                      nothing; only where no server is connected do calls
//	                                    wait, and then for one no longer than a second, or
//	                                    a quarter of the time that they have left
//	it joins                            nothing; it gets calls when it is connected
//	it shuts down                       nothing; what it has got is answered
//	it dies                             calls in flight there fail, and may have run; with
//	                                    Idempotent they are made again
//	it is cut off without a word        some calls run into their deadline, until it is
//	                                    ejected; after that pings find out when it is back
//	it refuses every call, or is late   five fail, then one every now and then
//	it gives no answer at all           calls without a deadline wait; others go elsewhere
//	                                    when it has been silent for five seconds
//	it does not have the service        nothing; they are made on another one
//	it leaves the list                  nothing; what it has got is answered
//	the registry is down, or restarts   nothing; the last good list is used
//
// After an outage of all servers, calls go well again within a second or so of
// the first one's return, and soon all that are back have their share: once a
// second a call that finds no server up makes the XClient dial them all.
//
// # What an attempt proves about its server
//
// The end of an attempt on a server is evidence of the server's speed, which
// [LeastLoaded] looks at, and of its health, which [Ejection] looks at:
//
//	it ended with                        speed              health
//	a reply                              exactly that       a success: ends a row of failures
//	an error of the method               no less than that  a success: ends a row of failures
//	a refusal: unavailable, exhausted,   time in vain       a failure
//	or the server's handle timeout
//	its deadline, even while it waited   time in vain       a failure
//	for a slot among those in flight, or
//	when the method said so itself
//	a lost connection                    time in vain       a failure, once for all on it
//	its caller's leave, or another       time in vain       no answer
//	attempt's answer
//	the same or its deadline, sooner     time in vain       nothing
//	than in four times what an answer
//	usually takes
//	not found, not allowed, not to be    nothing            nothing
//	decoded, never sent
//
// Time in vain is added to what the next answer takes; time that several calls
// spent at once counts once. An error that comes sooner than answers do counts
// as in flight for as long as an answer would have taken: errors attract no
// calls. Consecutive failures, the comparison with the other servers and the limit
// on how many may be out are those of Envoy's and gRPC's outlier detection; that
// calls in flight count is from Finagle's "peak EWMA".
//
// If there is no server, calls fail at once with geerpc.CodeUnavailable; Wait of
// a [GeeRegistryDiscovery] is for those that come before the first. If none
// can be connected to, they fail as never run, with the error of the last dial,
// or when they have waited for one until their context ended.
package xclient
