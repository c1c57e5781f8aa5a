package clientpage

import (
	"time"

	"geerpc/internal/page"
)

// An Info is what the page shows, as the XClient gathers it.
type Info struct {
	State         string         `json:"state"` // open, draining or closed
	Process       page.Process   `json:"process"`
	Now           time.Time      `json:"now"`
	UptimeSeconds float64        `json:"uptime_seconds"` // of the XClient
	InFlight      int64          `json:"in_flight"`      // calls, each with all its attempts
	Discovery     Discovery      `json:"discovery"`
	Servers       []Server       `json:"servers"` // by address
	Left          []Left         `json:"left"`    // servers, the last one first
	Retries       Budget         `json:"retries"`
	Hedges        Budget         `json:"hedges"`
	Settings      []page.Setting `json:"settings"`
	Hints         []string       `json:"hints"`
}

// A Discovery is where the list of servers is from.
type Discovery struct {
	Type       string     `json:"type"`       // in Go
	Registries []Registry `json:"registries"` // that a GeeRegistryDiscovery asks
}

// A Registry is one of those that are asked.
type Registry struct {
	URL        string   `json:"url"` // without the password
	State      string   `json:"state"`
	Error      string   `json:"error"`           // while it fails
	AgeSeconds *float64 `json:"age_seconds"`     // since its list was last confirmed; nil: never
	Servers    int      `json:"servers"`         // that it lists
	Kept       int      `json:"servers_kept"`    // that it has forgotten
	Failing    float64  `json:"failing_seconds"` // for how long
}

// The states of a Registry.
const (
	Watched  = "watched"       // it tells of changes at once
	Polled   = "polled"        // it is asked from time to time
	Fails    = "fails"         // the latest answer was no good
	Unasked  = "not asked yet" // it has not answered
	Asleep   = "asleep"        // no call has used the list for a minute
	Unusable = "never asked"   // its URL is bad
)

// A Server is a row of the page.
type Server struct {
	Addr              string            `json:"addr"`
	State             string            `json:"state"` // an xclient.ServerState
	Why               string            `json:"why"`
	Until             *time.Time        `json:"until"` // when an ejection ends
	InFlight          int               `json:"in_flight"`
	UnansweredSeconds float64           `json:"unanswered_seconds"`
	LatencySeconds    float64           `json:"latency_seconds"`
	Answers           int               `json:"answers"`
	Failures          int               `json:"failures"`
	FailuresInARow    int               `json:"failures_in_a_row"`
	ErrorsByCode      map[string]int    `json:"errors_by_code"`
	MostlyErrors      bool              `json:"mostly_errors"` // which are the server's fault
	Calls             int64             `json:"calls"`
	RecentCalls       int               `json:"recent_calls"`
	Share             float64           `json:"share"` // of the recent calls of all servers
	Connections       int               `json:"connections"`
	Weight            int               `json:"weight"`
	Services          []string          `json:"services"`
	Metadata          map[string]string `json:"metadata"`
	Legacy            bool              `json:"legacy"`
	Silent            bool              `json:"silent"`
}

// A Left is a server that has left the list and is not back, as it was then.
type Left struct {
	Addr  string    `json:"addr"`
	State string    `json:"state"`
	Why   string    `json:"why"`
	Calls int64     `json:"calls"`
	At    time.Time `json:"at"`
}

// A Budget is how many further attempts a policy has made.
type Budget struct {
	Made    int64    `json:"made"`
	Refused int64    `json:"refused"`
	Left    *float64 `json:"left"` // how many are allowed now; nil: any number
}

// SetShares sets the shares of the servers.
func (i *Info) SetShares() {
	all := 0
	for _, s := range i.Servers {
		all += s.RecentCalls
	}
	for at := range i.Servers {
		i.Servers[at].Share = float64(i.Servers[at].RecentCalls) / float64(max(all, 1))
	}
}
