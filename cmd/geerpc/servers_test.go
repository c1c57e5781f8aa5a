package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"geerpc"
	"geerpc/internal/registryapi"
	"geerpc/registry"
)

// startRegistry returns the URL of a registry.
func startRegistry(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(registryapi.DefaultPath, registry.New(0))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + registryapi.DefaultPath
}

func TestServers(t *testing.T) {
	url := startRegistry(t)
	geerpcRun(t, "servers", url).want(t, 0, "", "no servers")
	addr := serveRegistered(t, url, map[string]string{"zone": "b"})
	o := geerpcRun(t, "servers", url)
	for _, want := range []string{"ADDRESS", "tcp@" + addr, "alive", "Arith", "zone=b"} {
		o.want(t, 0, want, "")
	}
	geerpcRun(t, "servers", strings.TrimPrefix(url, "http://")).want(t, 0, addr, "")
	geerpcRun(t, "servers", "http://"+nobody(t)+"/x,"+url).want(t, 0, addr, "")
	var servers []registry.ServerItem
	geerpcRun(t, "servers", url, "-json").decode(t, &servers)
	if len(servers) != 1 || servers[0].Addr != "tcp@"+addr || servers[0].Metadata["zone"] != "b" {
		t.Errorf("%+v", servers)
	}
}

func TestServers_Failures(t *testing.T) {
	url := startRegistry(t)
	down := "http://" + nobody(t) + registryapi.DefaultPath
	for _, args := range [][]string{{"servers", down}, {"list", down}, {"call", down, "Arith.Neg"}} {
		geerpcRun(t, args...).want(t, exitUnavailable, "", "is the registry running, and is "+down)
	}
	debugPage := httptest.NewServer(geerpc.NewServer().DebugHandler())
	defer debugPage.Close()
	geerpcRun(t, "list", debugPage.URL).want(t, exitUnavailable, "", "there is no registry at that URL")
	geerpcRun(t, "servers", strings.TrimSuffix(url, "registry")).want(t, exitUnavailable, "", registryapi.DefaultPath)
	geerpcRun(t, "servers", serve(t, nil, nil)).want(t, exitUnavailable, "", "is there a registry")
	geerpcRun(t, "servers", "http://").want(t, exitUsage, "", "no host")
	geerpcRun(t, "servers").want(t, exitUsage, "", "REGISTRY")
	for _, flag := range []string{"-server", "-token-file", "-http-path", "-tls"} { // which are about servers
		geerpcRun(t, "servers", url, flag, "x").want(t, exitUsage, "", "there is no flag "+flag)
	}
}

// TestThroughRegistry: commands that talk to servers find them in a registry.
func TestThroughRegistry(t *testing.T) {
	url := startRegistry(t)
	geerpcRun(t, "call", url, "Arith.Neg", "1").want(t, exitUnavailable, "", "")
	geerpcRun(t, "list", url).want(t, exitUnavailable, "", "the registry lists no servers")
	serveRegistered(t, url, nil)
	second := serveRegistered(t, url, nil)
	geerpcRun(t, "call", url, "Arith.Neg", "1").want(t, 0, "-1\n", "")
	geerpcRun(t, "call", url, "Arith.Neg", "1", "-server", second).want(t, 0, "-1\n", "")
	geerpcRun(t, "call", url, "Arith.Neg", "1", "-server", "nowhere").want(t, exitUnavailable, "", "geerpc servers "+url)
	geerpcRun(t, "call", url, "Arith.Negg", "1").want(t, exitBadCall, "", "did you mean Arith.Neg?")
	geerpcRun(t, "call", url, "Other.Method").want(t, exitUnavailable, "", "Other")
	geerpcRun(t, "list", url).want(t, 0, "Arith.Add\n", "one of 2 at "+url)
	picked := "tcp@" + second + ", one of 2 at " + url
	geerpcRun(t, "describe", url, "Arith.Add", "-server", second).want(t, 0, "geerpc call "+url, "from "+picked)
	geerpcRun(t, "watch", url, "-n", "1", "-server", second).want(t, 0, picked+"  open", "")
	if o := geerpcRun(t, "list", url, "-json"); o.log != "" {
		t.Errorf("with -json the log is %q", o.log)
	}
	geerpcRun(t, "call", url, "Arith.Div", "-json", "-server", second).want(t, exitMethod, "", `"server":"tcp@`+second)
	geerpcRun(t, "bench", url, "Arith.Neg", "1", "-d", "100ms").want(t, 0, "p50", "")
}

// TestRegistry_Binary: the registry as a process, which ends when it is told to.
func TestRegistry_Binary(t *testing.T) {
	cmd := process(t, "registry", "-addr", "127.0.0.1:0", "-json")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said struct{ Registry string }
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		t.Fatal(err)
	}
	addr := serveRegistered(t, said.Registry, nil)
	geerpcRun(t, "servers", said.Registry).want(t, 0, addr, "")
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has the line %q", line)
		}
	}
}
