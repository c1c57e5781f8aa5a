package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// reloadInterval is how often the files are looked at.
const reloadInterval = 5 * time.Second

// secrets are the tokens and the certificate in files, as they were last read.
// A name that is empty is that of no file. It is safe for concurrent use.
type secrets struct {
	tokenFile, certFile, keyFile string

	mu    sync.Mutex // guards what follows
	read  bool
	text  [3][]byte // of the files, when they were last good
	token []string
	cert  *tls.Certificate
}

func loadSecrets(tokenFile, certFile, keyFile string) (*secrets, error) {
	s := &secrets{tokenFile: tokenFile, certFile: certFile, keyFile: keyFile}
	_, err := s.reload()
	return s, err
}

// tokens are those of which a server must present one.
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

// watch reads the files again from time to time, until ctx ends. If that fails,
// what was read before stays in use.
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
		switch {
		case err == nil && changed:
			logger.Info("registry: token and certificate are read again")
		case err != nil && err.Error() != last:
			logger.Warn("registry: token and certificate can't be read again, those from before stay in use", "err", err)
		}
		last = fmt.Sprint(err)
	}
}

// reload reads the files, and reports whether there is something new in them.
// All of it is taken, or nothing.
func (s *secrets) reload() (changed bool, err error) {
	var text [3][]byte
	for i, name := range []string{s.tokenFile, s.certFile, s.keyFile} {
		if name == "" {
			continue
		}
		if text[i], err = os.ReadFile(name); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read && bytes.Equal(text[0], s.text[0]) && bytes.Equal(text[1], s.text[1]) && bytes.Equal(text[2], s.text[2]) {
		return false, nil
	}
	token, err := parseTokens(s.tokenFile, text[0])
	if err != nil {
		return false, err
	}
	cert, err := parseCertificate(s.certFile, s.keyFile, text[1], text[2])
	if err != nil {
		return false, err
	}
	s.read, s.text, s.token, s.cert = true, text, token, cert
	return true, nil
}

// parseTokens returns the tokens in a file, one a line. An empty file is an
// error: nobody means a token that everybody has. So is a token that nobody could
// present.
func parseTokens(name string, text []byte) (tokens []string, err error) {
	if name == "" {
		return nil, nil
	}
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

// parseCertificate returns the certificate in a file, nil without a file.
func parseCertificate(certFile, keyFile string, certText, keyText []byte) (*tls.Certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	cert, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", certFile, keyFile, err)
	}
	return &cert, nil
}
