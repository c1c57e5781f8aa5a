package main

import (
	"fmt"
	"strings"
)

// didYouMean returns a question about the name that is most like a wrong one, if one is
// like it.
func didYouMean(wrong string, names []string) string {
	best, bestDistance := "", len(wrong)+1
	for _, name := range names {
		if d, near := nameDistance(strings.ToLower(wrong), strings.ToLower(name)); near && d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// nameDistance returns the distance between two names, and whether they are alike. Service
// and method must both be alike: otherwise a long service name would excuse any short method.
func nameDistance(wrong, name string) (d int, near bool) {
	dot, nameDot := strings.LastIndexByte(wrong, '.')+1, strings.LastIndexByte(name, '.')+1
	service := distance(wrong[:dot], name[:nameDot])
	method := distance(wrong[dot:], name[nameDot:])
	return service + method, service <= typos(wrong[:dot]) && method <= typos(wrong[dot:])
}

// typos is how many letters of a word may be wrong.
func typos(word string) int { return 1 + len(word)/4 }

// distance returns how many letters have to be inserted, removed or replaced to make one
// word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // from the beginning of a, to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
