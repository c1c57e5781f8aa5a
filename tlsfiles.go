package geerpc

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// TLSFiles are the files of one side's TLS, in PEM. They are read again when a
// connection begins, though at most once a second, so that a certificate can be renewed
// while the program runs. What can't be read or does not fit together is logged, and
// what was read before stays in use; a certificate and its key may be replaced one
// after the other. The fields are set before the first use. A TLSFiles is safe for
// concurrent use, and has no goroutine.
type TLSFiles struct {
	// CertFile and KeyFile are this side's certificate, with those between it and the
	// authority behind it, and its key. A server must have them. A client has them if
	// the server asks for a certificate.
	CertFile, KeyFile string

	// CAFile has the authorities that vouch for the other side. A client without it
	// trusts those of the system. A server with it accepts only clients that have a
	// certificate of one of them. A client reads it once.
	CAFile string

	// Logger hears of files that can't be read again, and of new certificates. Nil:
	// nothing is logged.
	Logger *slog.Logger

	mu       sync.Mutex   // guards what follows
	text     [3][]byte    // of CertFile, KeyFile and CAFile
	contents *tlsContents // nil until they have been read
	checked  time.Time    // when the files were last looked at
	failed   string       // why they could not be read then
}

// The tlsContents are what is in the files. Nobody changes them.
type tlsContents struct {
	cert        *tls.Certificate // nil without CertFile
	authorities *x509.CertPool   // nil without CAFile
}

// tlsCheckInterval is how often the files are looked at.
const tlsCheckInterval = time.Second

// Server returns a tls.Config for a server: for tls.NewListener, or for an http.Server,
// whose ListenAndServeTLS then takes no files. It may be changed before it is used; its
// certificate and its ClientCAs are always those of the files. Server fails if the
// files can't be read now.
func (f *TLSFiles) Server() (*tls.Config, error) {
	if f.CertFile == "" {
		return nil, fmt.Errorf("rpc: TLSFiles.CertFile is empty; a server needs a certificate")
	}
	if _, err := f.load(); err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current().cert, nil },
	}
	if f.CAFile == "" {
		return config, nil
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := config.Clone()
		c.ClientCAs = f.current().authorities
		return c, nil
	}
	return config, nil
}

// Client returns a tls.Config for Option.TLSConfig, or for the transport of an
// http.Client. It fails if the files can't be read now.
func (f *TLSFiles) Client() (*tls.Config, error) {
	if _, err := f.load(); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.current().authorities}
	if f.CertFile != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.current().cert, nil }
	}
	return c, nil
}

// current returns what is in the files, read again if it is time.
func (f *TLSFiles) current() *tlsContents {
	f.reload()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.contents
}

// reload reads the files again if they have not been looked at for a while.
func (f *TLSFiles) reload() {
	f.mu.Lock()
	due := time.Since(f.checked) >= tlsCheckInterval
	if due {
		f.checked = time.Now() // others go on with what there is
	}
	f.mu.Unlock()
	if !due {
		return
	}
	changed, err := f.load()
	if changed {
		orQuiet(f.Logger).Info("rpc: new TLS files are in use", "cert", f.CertFile, "ca", f.CAFile)
	}
	if f.isNew(err) {
		orQuiet(f.Logger).Warn("rpc: TLS files can't be read again, what was read before stays in use", "err", err)
	}
}

// isNew reports whether a failure is not the same as that of the last time.
func (f *TLSFiles) isNew(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	isNew := text != f.failed && text != ""
	f.failed = text
	return isNew
}

// load reads the files, and reports whether there is anything new in them, which is in
// use then.
func (f *TLSFiles) load() (changed bool, err error) {
	if (f.CertFile == "") != (f.KeyFile == "") {
		return false, fmt.Errorf("rpc: TLSFiles.CertFile is %q and KeyFile is %q; set both, or neither", f.CertFile, f.KeyFile)
	}
	var text [3][]byte
	for i, name := range []string{f.CertFile, f.KeyFile, f.CAFile} {
		if name == "" {
			continue
		}
		if text[i], err = os.ReadFile(name); err != nil {
			return false, fmt.Errorf("rpc: TLS: %w", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked = time.Now()
	known := f.contents != nil
	if known && slices.EqualFunc(text[:], f.text[:], bytes.Equal) {
		return false, nil
	}
	contents, err := f.parse(text)
	if err != nil {
		return false, err
	}
	f.text, f.contents = text, contents
	return known, nil
}

// parse parses what has been read of the files.
func (f *TLSFiles) parse(text [3][]byte) (*tlsContents, error) {
	c := new(tlsContents)
	if f.CertFile != "" {
		pair, err := tls.X509KeyPair(text[0], text[1])
		if err != nil {
			return nil, fmt.Errorf("rpc: TLS: %s, %s: %w", f.CertFile, f.KeyFile, err)
		}
		c.cert = &pair
	}
	if f.CAFile != "" {
		c.authorities = x509.NewCertPool()
		if !c.authorities.AppendCertsFromPEM(text[2]) {
			return nil, fmt.Errorf("rpc: TLS: %s: there is no certificate in it", f.CAFile)
		}
	}
	return c, nil
}
