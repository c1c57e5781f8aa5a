package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/registry"
)

// selfSigned returns a certificate of a serial number of its own, and the key.
func selfSigned(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// TestE219_Rotation: token and certificate are read again when their files
// change, two tokens are good for a while, and a file that is no good changes
// nothing. A token that was withdrawn is not good any more, whatever is wrong with
// the certificate.
func TestE219_Rotation(t *testing.T) {
	cert1, key1 := selfSigned(t, 1)
	cert2, key2 := selfSigned(t, 2)
	token, cert, key := written(t, []byte("old\n")), written(t, cert1), written(t, key1)
	set := func(name string, text []byte) {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		s, err := loadTokens(token)
		if err != nil {
			t.Fatal(err)
		}
		files := &geerpc.TLSFiles{CertFile: cert, KeyFile: key, Logger: logger}
		config, err := files.Server()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() { s.watch(ctx, logger); close(ended) }() // until cancel
		check := func(serial int64, tokens ...string) {
			t.Helper()
			time.Sleep(reloadInterval)
			synctest.Wait()
			now, err := config.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(now.Certificate[0])
			if err != nil || leaf.SerialNumber.Int64() != serial || !slices.Equal(s.current(), tokens) {
				t.Errorf("certificate %v, tokens %q; want %d, %q; %v", leaf.SerialNumber, s.current(), serial, tokens, err)
			}
		}
		check(1, "old")
		set(token, []byte("new\n\n old \r\n"))
		check(1, "new", "old")
		set(cert, cert2) // whose key has not been written yet
		set(token, []byte("new"))
		check(1, "new") // the old one may have leaked
		check(1, "new")
		set(key, key2)
		check(2, "new")
		os.Remove(token)
		check(2, "new")
		cancel()
		<-ended
		if again, failed := strings.Count(log.String(), "are in use"), strings.Count(log.String(), "can't be read again"); again != 3 || failed != 2 {
			t.Errorf("the log tells of %d and %d failures:\n%s", again, failed, &log)
		}
	})
}

// TestE219_Tokens: any of them will do, and none is not everybody's.
func TestE219_Tokens(t *testing.T) {
	r := registry.New(0)
	tokens := []string{"one", "two"}
	r.Tokens = func() []string { return tokens }
	for token, want := range map[string]int{"one": 200, "two": 200, "": 401, "three": 401} {
		if got := post(r, token); got != want {
			t.Errorf("%q: %d", token, got)
		}
	}
	tokens = []string{"new", ""} // and no old one any more
	for token, want := range map[string]int{"new": 200, "": 401, " ": 401} {
		if got := post(r, token); got != want {
			t.Errorf("%q, with an empty one: %d", token, got)
		}
	}
	tokens = nil
	if got := post(r, ""); got != 401 {
		t.Errorf("without any token: %d", got)
	}
	r.Token = "mine"
	if got := post(r, "mine"); got != 200 {
		t.Errorf("Token: %d", got)
	}
}

// A status keeps the status of an answer.
type status int

func (*status) Header() http.Header         { return make(http.Header) }
func (*status) Write(p []byte) (int, error) { return len(p), nil }
func (s *status) WriteHeader(code int)      { *s = status(code) }

func post(h http.Handler, token string) int {
	req, _ := http.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("X-Geerpc-Server", "tcp@a:1")
	req.Header.Set("Authorization", "Bearer "+token)
	s := status(http.StatusOK)
	h.ServeHTTP(&s, req)
	return int(s)
}

// TestD219_StopsAtOnce though there are connections that say nothing, or have
// said half of something, over http and https.
func TestD219_StopsAtOnce(t *testing.T) {
	cert, key := selfSigned(t, 1)
	for name, args := range map[string][]string{"http": nil, "https": {"-cert-file", written(t, cert), "-key-file", written(t, key)}} {
		t.Run(name, func(t *testing.T) {
			url, log, stop := start(t, args...)
			defer stop()
			_, at, _ := strings.Cut(url, "://")
			at, _, _ = strings.Cut(at, "/")
			for _, text := range []string{"", "GET /hea", "\x16\x03\x01"} {
				conn, err := net.Dial("tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			// What is accepted later has been answered: the others are there.
			health(t, url)
			begin := time.Now()
			stop() // checks that the exit code is 0
			if took := time.Since(begin); took >= stopTimeout {
				t.Errorf("it took %s; the log:\n%s", took, log)
			}
		})
	}
}

// health wants the registry at a URL to be well.
func health(t *testing.T, url string) {
	t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	at, _, _ := strings.Cut(rest, "/")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(scheme + "://" + at + healthPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", healthPath, resp.Status)
	}
}
