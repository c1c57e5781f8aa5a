package main

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"time"
)

// results are all that was measured, as it stands in the JSON file.
type results struct {
	GoVersion string            `json:"go"`
	Platform  string            `json:"platform"`
	CPUs      int               `json:"cpus"`
	Date      time.Time         `json:"date"`
	Window    string            `json:"window"` // how long each run took
	Libraries []string          `json:"libraries"`
	Notes     map[string]string `json:"notes"` // what each library was run with
	Runs      []run             `json:"runs"`
	Memory    []memoryResult    `json:"memory"`
	Failures  []string          `json:"failures,omitempty"`
}

// A run is one measurement of one library.
type run struct {
	cell
	Library string  `json:"library"`
	Round   int     `json:"round"`
	Calls   int     `json:"calls"`
	PerSec  float64 `json:"calls_per_second"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	Client  perCall `json:"client"`
	Server  perCall `json:"server"`
}

func newResults(libs []library, window time.Duration) *results {
	r := &results{
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Date: time.Now().UTC().Truncate(time.Second), Window: window.String(), Notes: map[string]string{},
	}
	for _, l := range libs {
		r.Libraries = append(r.Libraries, l.name)
		r.Notes[l.name] = l.note
	}
	return r
}

func readResults(path string) (*results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	return r, json.Unmarshal(data, r)
}

func (r *results) write(path string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o666)
}

// cells returns the cells that were measured, in order.
func (r *results) cells() []cell {
	var cells []cell
	for _, one := range r.Runs {
		if !slices.Contains(cells, one.cell) {
			cells = append(cells, one.cell)
		}
	}
	return cells
}

// spread is a median with the least and the most.
type spread struct {
	low, median, high float64
	n                 int
}

func newSpread(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	n := len(values)
	return spread{low: values[0], median: (values[(n-1)/2] + values[n/2]) / 2, high: values[n-1], n: n}
}

// of returns the spread of one figure of a library in a cell.
func (r *results) of(c cell, library string, figure func(run) float64) spread {
	var values []float64
	for _, one := range r.Runs {
		if one.cell == c && one.Library == library {
			values = append(values, figure(one))
		}
	}
	return newSpread(values)
}

// ratio returns the spread of one library's calls/s as a multiple of another's,
// pair by pair: the two runs of a round are neighbours in time, so that what
// else the machine did falls on both.
func (r *results) ratio(c cell, library, base string) spread {
	return r.ratioOf(c, library, c, base)
}

// ratioOf is ratio for a base in another cell of the group.
func (r *results) ratioOf(c cell, library string, baseCell cell, base string) spread {
	baseRuns := map[int]float64{}
	for _, one := range r.Runs {
		if one.cell == baseCell && one.Library == base {
			baseRuns[one.Round] = one.PerSec
		}
	}
	var values []float64
	for _, one := range r.Runs {
		if b := baseRuns[one.Round]; one.cell == c && one.Library == library && b > 0 {
			values = append(values, one.PerSec/b)
		}
	}
	return newSpread(values)
}
