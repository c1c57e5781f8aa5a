package geerpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
)

// writeCert writes a certificate for name, of its own authority, and its key, to files
// in dir.
func writeCert(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	cert, _ := certificate(t, name, time.Hour)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// lookAgain has the files looked at with the next connection.
func (f *TLSFiles) lookAgain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked = time.Time{}
}

// mutualTLS returns a server and a client that know each other by files.
func mutualTLS(t *testing.T) (e *env, server, client *TLSFiles, dial func() (*Client, error)) {
	t.Helper()
	serverDir, clientDir := t.TempDir(), t.TempDir()
	server, client = new(TLSFiles), new(TLSFiles)
	server.CertFile, server.KeyFile = writeCert(t, serverDir, "localhost")
	client.CertFile, client.KeyFile = writeCert(t, clientDir, "client 1")
	server.CAFile, client.CAFile = client.CertFile, server.CertFile
	config, err := server.Server()
	if err != nil {
		t.Fatal(err)
	}
	e = newEnv(t, "tcp", codec.GobType)
	RegisterFunc(e.Server, "Test.Name", func(ctx context.Context, _ int) (string, error) {
		peer, _ := PeerFrom(ctx)
		return peer.TLS.PeerCertificates[0].Subject.CommonName, nil
	})
	lis := tls.NewListener(listen(t), config)
	go e.Serve(lis) // ends with the test's server
	t.Cleanup(func() { e.Close() })
	return e, server, client, func() (*Client, error) {
		config, err := client.Client()
		if err != nil {
			t.Fatal(err)
		}
		config.ServerName = "localhost"
		c, err := Dial("tcp", lis.Addr().String(), &Option{TLSConfig: config, ConnectTimeout: 10 * time.Second})
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, err
	}
}

// nameOf asks the server who the client is.
func nameOf(t *testing.T, c *Client, err error) string {
	t.Helper()
	var name string
	if err == nil {
		err = c.Call(t.Context(), "Test.Name", 0, &name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestE47_FilesRenewed: both sides take new certificates while they run, and
// connections that stand go on.
func TestE47_FilesRenewed(t *testing.T) {
	_, server, client, dial := mutualTLS(t)
	c, err := dial()
	if name := nameOf(t, c, err); name != "client 1" {
		t.Fatalf("the client is %q", name)
	}
	before := server.current().cert
	writeCert(t, filepath.Dir(client.CertFile), "client 2") // which the server trusts: it is its CAFile
	writeCert(t, filepath.Dir(server.CertFile), "localhost")
	client.lookAgain()
	server.lookAgain()
	renewed, err := dial()
	if name := nameOf(t, renewed, err); name != "client 2" {
		t.Errorf("the client is %q", name)
	}
	if bytes.Equal(server.current().cert.Certificate[0], before.Certificate[0]) {
		t.Error("the server has its old certificate")
	}
	if name := nameOf(t, c, nil); name != "client 1" {
		t.Errorf("the client of before is %q", name)
	}
}

// TestE47_FilesHalfRenewed: a certificate without its key, or no file at all, costs
// nothing: the last good pair stays, the log says so once, and the next pair is taken.
func TestE47_FilesHalfRenewed(t *testing.T) {
	_, server, _, dial := mutualTLS(t)
	var log bytes.Buffer
	server.Logger = slog.New(slog.NewTextHandler(&log, nil))
	good, err := os.ReadFile(server.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := writeCert(t, t.TempDir(), "localhost")
	wrong, _ := os.ReadFile(other)
	for _, text := range [][]byte{wrong, []byte("nonsense"), nil} {
		log.Reset()
		if text == nil {
			os.Remove(server.CertFile)
		} else if err := os.WriteFile(server.CertFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
		before := server.current().cert
		for range 3 {
			server.lookAgain()
			if server.current().cert != before {
				t.Error("another certificate is in use")
			}
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, &log)
		}
	}
	os.WriteFile(server.CertFile, good, 0o600)
	server.lookAgain()
	c, err := dial()
	nameOf(t, c, err)
	writeCert(t, filepath.Dir(server.CertFile), "localhost")
	log.Reset()
	server.lookAgain()
	server.current()
	if !strings.Contains(log.String(), "new TLS files are in use") {
		t.Errorf("the log says %q", &log)
	}
}

// TestE45_FilesRefuse: what can't work is an error at once.
func TestE45_FilesRefuse(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "localhost")
	for name, f := range map[string]*TLSFiles{
		"a server without a certificate": {},
		"no such file":                   {CertFile: cert, KeyFile: filepath.Join(dir, "none")},
		"not a key":                      {CertFile: cert, KeyFile: cert},
		"no key":                         {CertFile: cert},
		"no certificate":                 {KeyFile: key},
		"no authority in it":             {CertFile: cert, KeyFile: key, CAFile: key},
	} {
		if _, err := f.Server(); err == nil || !strings.HasPrefix(err.Error(), "rpc: TLS") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := f.Client(); (err == nil) != (f.CertFile == "" && f.KeyFile == "") {
			t.Errorf("%s, a client: %v", name, err)
		}
	}
	_, _, client, dial := mutualTLS(t)
	client.CertFile, client.KeyFile = "", ""
	_, err := dial()
	wantError(t, err, CodeUnauthenticated, OnLink, RanNever)
}

// TestE47_FilesForHTTP: an http.Server takes them too, as a registry does.
func TestE47_FilesForHTTP(t *testing.T) {
	f := new(TLSFiles)
	f.CertFile, f.KeyFile = writeCert(t, t.TempDir(), "localhost")
	config, err := f.Server()
	if err != nil {
		t.Fatal(err)
	}
	lis := listen(t)
	web := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go web.ServeTLS(lis, "", "") // ends with Close
	t.Cleanup(func() { web.Close() })
	trusting := &TLSFiles{CAFile: f.CertFile}
	clientConfig, err := trusting.Client()
	if err != nil {
		t.Fatal(err)
	}
	clientConfig.ServerName = "localhost"
	transport := &http.Transport{TLSClientConfig: clientConfig}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("https://" + lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); string(text) != "hello" {
		t.Errorf("%q", text)
	}
}
