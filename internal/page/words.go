package page

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// What a page shows of a list of words that others have made up.
const (
	MaxWords     = 20
	maxWordBytes = 80
)

// Words returns the first of a list, each cut to a length.
func Words(all []string) (shown []string) {
	for _, word := range all[:min(len(all), MaxWords)] {
		shown = append(shown, cut(word))
	}
	return shown
}

// Pairs returns the words of metadata, such as zone=b, sorted.
func Pairs(metadata map[string]string) []string {
	pairs := make([]string, 0, len(metadata))
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		pairs = append(pairs, key+"="+metadata[key])
	}
	return Words(pairs)
}

// cut returns what there is room for of a word.
func cut(word string) string {
	if len(word) <= maxWordBytes {
		return word
	}
	end := maxWordBytes
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end] + "…"
}

// more returns how many words of so many are not shown.
func more(all int) int { return max(0, all-MaxWords) }
