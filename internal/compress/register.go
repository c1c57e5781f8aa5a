package compress

import "sync"

var (
	mu         sync.RWMutex // guards algorithms
	algorithms = map[string]Algorithm{"flate": Flate{}}
)

// Register makes an algorithm known by a name, in place of another one perhaps.
func Register(name string, a Algorithm) {
	mu.Lock()
	defer mu.Unlock()
	algorithms[name] = a
}

// Lookup returns the algorithm of a name, or nil.
func Lookup(name string) Algorithm {
	mu.RLock()
	defer mu.RUnlock()
	return algorithms[name]
}
