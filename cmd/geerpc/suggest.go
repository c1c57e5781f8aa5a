package main

import (
	"fmt"
	"strings"
)

// didYouMean returns a question about the name that is most like a wrong one, if one is
// like it.
func didYouMean(wrong string, names []string) string {
	best, bestDistance := "", 1+max(len(wrong)/3, 2)
	for _, name := range names {
		if d := distance(strings.ToLower(wrong), strings.ToLower(name)); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

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
