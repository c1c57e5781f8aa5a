package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// reloadInterval is the time between two reads of the files.
const reloadInterval = 5 * time.Second

// secrets are the tokens and the certificate, as last read from their files. An
// empty file name means that there is none. It is safe for concurrent use.
type secrets struct {
	tokenFile, certFile, keyFile string

	mu       sync.Mutex // guards what follows
	token    []string
	cert     *tls.Certificate
	certText [2][]byte // the certificate file and the key file
}

func loadSecrets(tokenFile, certFile, keyFile string) (*secrets, error) {
	s := &secrets{tokenFile: tokenFile, certFile: certFile, keyFile: keyFile}
	_, err := s.reload()
	return s, err
}

// tokens returns the tokens, of which a server must present one.
func (s *secrets) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// certificate is a tls.Config's GetCertificate.
func (s *secrets) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cert, nil
}

// watch reads the files again every reloadInterval, until ctx ends. If a file
// can't be read, the last good version stays in use.
func (s *secrets) watch(ctx context.Context, logger *slog.Logger) {
	if s.tokenFile == "" && s.certFile == "" {
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
		changed, err := s.reload()
		if changed {
			logger.Info("registry: a new token or certificate is in use")
		}
		if err != nil && err.Error() != last {
			logger.Warn("registry: token or certificate can't be read again, what it was before stays in use", "err", err)
		}
		last = fmt.Sprint(err)
	}
}

// reload reads the files, and reports whether anything is new. Tokens and
// certificate are independent: a broken certificate must not keep a token in use
// that was withdrawn.
func (s *secrets) reload() (changed bool, err error) {
	tokens, err := s.reloadTokens()
	cert, certErr := s.reloadCertificate()
	return tokens || cert, errors.Join(err, certErr)
}

func (s *secrets) reloadTokens() (changed bool, err error) {
	if s.tokenFile == "" {
		return false, nil
	}
	text, err := os.ReadFile(s.tokenFile)
	if err != nil {
		return false, err
	}
	token, err := parseTokens(s.tokenFile, text)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = !slices.Equal(s.token, token)
	s.token = token
	return changed, nil
}

func (s *secrets) reloadCertificate() (changed bool, err error) {
	if s.certFile == "" {
		return false, nil
	}
	var text [2][]byte
	for i, name := range []string{s.certFile, s.keyFile} {
		if text[i], err = os.ReadFile(name); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cert != nil && bytes.Equal(text[0], s.certText[0]) && bytes.Equal(text[1], s.certText[1]) {
		return false, nil
	}
	cert, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return false, fmt.Errorf("%s, %s: %w", s.certFile, s.keyFile, err)
	}
	s.cert, s.certText = &cert, text
	return true, nil
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
