package xclient

// unheardRounds is in how many sweeps all silent servers are tried.
const unheardRounds = 30

// tryUnheard has some of the silent servers connected to, to which no call goes
// before: that the registry doesn't hear them need not mean that they are dead.
// Those that are stay down until a dial succeeds. It tries only what calls are
// for, and nothing while there are none.
func (f *fleet) tryUnheard() {
	snap := f.current.Load()
	if snap == nil {
		return
	}
	for _, v := range *snap.views.Load() {
		unheard := filter(v.all, (*Server).isUnheard)
		if len(unheard) == 0 || !isCalled(v.all) {
			continue
		}
		if snap.subset.size > 0 {
			unheard = filter(snap.subset.take(snap.subset.reach(v.all)), (*Server).isUnheard)
		}
		for _, s := range unheard[:(len(unheard)+unheardRounds-1)/unheardRounds] {
			s.want()
		}
	}
}

// isUnheard tells whether the server is silent, and nobody has tried whether it
// is there.
func (s *Server) isUnheard() bool {
	return s.Endpoint().Silent && !s.health.is(down) && !s.isConnected()
}

// isCalled tells whether calls have one of some servers connected to: not for
// being silent.
func isCalled(servers []*Server) bool {
	for _, s := range servers {
		if !s.Endpoint().Silent && s.isConnected() {
			return true
		}
	}
	return false
}
