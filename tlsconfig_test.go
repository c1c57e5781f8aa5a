package geerpc

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"geerpc/codec"
)

// TestE47_FilesConfigOfOnesOwn: what a user changes in the config counts, with every
// connection and after the files have changed.
func TestE47_FilesConfigOfOnesOwn(t *testing.T) {
	files := new(TLSFiles)
	files.CertFile, files.KeyFile = writeCert(t, t.TempDir(), "localhost")
	config, err := files.Server()
	if err != nil {
		t.Fatal(err)
	}
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{"geerpc"}
	lis := tls.NewListener(listen(t), config)
	e := newEnv(t, "tcp", codec.GobType)
	go e.Serve(lis) // ends with the test's server
	t.Cleanup(func() { e.Close() })
	for range 3 {
		trusting := &TLSFiles{CAFile: files.CertFile}
		client, err := trusting.Client()
		if err != nil {
			t.Fatal(err)
		}
		client.ServerName = "localhost"
		client.NextProtos = []string{"other", "geerpc"}
		conn, err := tls.Dial("tcp", lis.Addr().String(), client)
		if err != nil {
			t.Fatal(err)
		}
		if state := conn.ConnectionState(); state.NegotiatedProtocol != "geerpc" || state.Version != tls.VersionTLS13 {
			t.Errorf("the connection speaks %q over TLS %x", state.NegotiatedProtocol, state.Version)
		}
		conn.Close()
		client.MaxVersion = tls.VersionTLS12
		if conn, err := tls.Dial("tcp", lis.Addr().String(), client); err == nil {
			t.Error("the server took TLS 1.2")
			conn.Close()
		}
		renew(t, files)
	}
}

// renew gives a TLSFiles another certificate.
func renew(t *testing.T, f *TLSFiles) {
	t.Helper()
	cert, key := writeCert(t, t.TempDir(), "localhost")
	for to, from := range map[string]string{f.CertFile: cert, f.KeyFile: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	f.lookAgain()
}

// TestE47_FilesWithdrawnAuthority: a client whose authority is not in CAFile any more is
// refused, even if it could resume a session of an earlier connection.
func TestE47_FilesWithdrawnAuthority(t *testing.T) {
	files, own := new(TLSFiles), new(TLSFiles)
	files.CertFile, files.KeyFile = writeCert(t, t.TempDir(), "localhost")
	own.CertFile, own.KeyFile = writeCert(t, t.TempDir(), "client 1")
	own.CAFile = files.CertFile
	files.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	copyFile(t, own.CertFile, files.CAFile)
	config, err := files.Server()
	if err != nil {
		t.Fatal(err)
	}
	e := newEnv(t, "tcp", codec.GobType)
	RegisterFunc(e.Server, "Test.Resumed", func(ctx context.Context, _ int) (bool, error) {
		peer, _ := PeerFrom(ctx)
		return peer.TLS.DidResume, nil
	})
	lis := tls.NewListener(listen(t), config)
	go e.Serve(lis) // ends with the test's server
	t.Cleanup(func() { e.Close() })
	clientConfig, err := own.Client()
	if err != nil {
		t.Fatal(err)
	}
	clientConfig.ServerName = "localhost"
	clientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() (resumed bool, err error) {
		client, err := Dial("tcp", lis.Addr().String(), &Option{TLSConfig: clientConfig, ConnectTimeout: 10 * time.Second})
		if err != nil {
			return false, err
		}
		defer client.Close()
		err = client.Call(t.Context(), "Test.Resumed", 0, &resumed)
		return resumed, err
	}
	for i := range 3 {
		if got, err := resumed(); got != (i > 0) || err != nil {
			t.Fatalf("connection %d is resumed: %v, %v", i, got, err)
		}
	}
	other, _ := writeCert(t, t.TempDir(), "another authority")
	copyFile(t, other, files.CAFile)
	files.lookAgain()
	_, err = resumed()
	wantError(t, err, CodeUnauthenticated, OnLink, RanNever)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
