package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// reloadInterval is the time between two reads of the file.
const reloadInterval = 5 * time.Second

// A tokenFile is the tokens that a file has, as last read. With an empty name there
// are none. It is safe for concurrent use.
type tokenFile struct {
	name string

	mu     sync.Mutex // guards what follows
	tokens []string
}

func loadTokens(name string) (*tokenFile, error) {
	f := &tokenFile{name: name}
	_, err := f.reload()
	return f, err
}

// current returns the tokens, of which a server must present one.
func (f *tokenFile) current() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

// watch reads the file again every reloadInterval, until ctx ends. If it can't be
// read, the last good version stays in use.
func (f *tokenFile) watch(ctx context.Context, logger *slog.Logger) {
	if f.name == "" {
		return
	}
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		changed, err := f.reload()
		if changed {
			logger.Info("registry: new tokens are in use", "file", f.name)
		}
		if err != nil && err.Error() != last {
			logger.Warn("registry: tokens can't be read again, what was read before stays in use", "err", err)
		}
		last = fmt.Sprint(err)
	}
}

// reload reads the file, and reports whether anything is new.
func (f *tokenFile) reload() (changed bool, err error) {
	if f.name == "" {
		return false, nil
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		return false, err
	}
	tokens, err := parseTokens(f.name, text)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = !slices.Equal(f.tokens, tokens)
	f.tokens = tokens
	return changed, nil
}

// parseTokens returns the tokens in a file, one a line. An empty file is an
// error, because with no token set everybody could register. So is a token that
// can't be sent in a header.
func parseTokens(name string, text []byte) (tokens []string, err error) {
	for line := range strings.Lines(string(text)) {
		token := strings.TrimSpace(line)
		if strings.ContainsFunc(token, unicode.IsControl) {
			return nil, fmt.Errorf("%s: a token is one line of text", name)
		}
		if token != "" {
			tokens = append(tokens, token)
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s: there is no token in it", name)
	}
	return tokens, nil
}
