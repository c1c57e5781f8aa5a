package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// A usage is what a process has used up so far.
type usage struct {
	CPU        time.Duration // of the user and of the system
	Allocs     uint64
	AllocBytes uint64
	Writes     uint64 // system calls; 0 where /proc doesn't tell
}

func measureUsage() usage {
	var r syscall.Rusage
	var m runtime.MemStats
	// Neither can fail for the process itself.
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	runtime.ReadMemStats(&m)
	return usage{
		CPU:        time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Allocs:     m.Mallocs,
		AllocBytes: m.TotalAlloc,
		Writes:     countWrites(),
	}
}

// countWrites reads how often the process has called write.
func countWrites() uint64 {
	data, _ := os.ReadFile("/proc/self/io")
	for line := range bytes.Lines(data) {
		if value, ok := bytes.CutPrefix(line, []byte("syscw: ")); ok {
			n, _ := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
			return n
		}
	}
	return 0
}

// A perCall is what a call costs on one side.
type perCall struct {
	CPUMicros  float64 `json:"cpu_us"`
	Allocs     float64 `json:"allocs"`
	AllocBytes float64 `json:"alloc_bytes"`
	Writes     float64 `json:"writes"`
}

// since shares what was used after an earlier measurement among calls.
func (u usage) since(earlier usage, calls int) perCall {
	n := float64(max(calls, 1))
	return perCall{
		CPUMicros:  float64(u.CPU-earlier.CPU) / 1e3 / n,
		Allocs:     float64(u.Allocs-earlier.Allocs) / n,
		AllocBytes: float64(u.AllocBytes-earlier.AllocBytes) / n,
		Writes:     float64(u.Writes-earlier.Writes) / n,
	}
}
