package xclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"time"

	"geerpc/registry"
	"geerpc/xclient"
)

// soon is how soon a caller that watches knows of a change, half of the times, even on
// a busy machine. One that asks now and then would know after seconds.
const soon = 2 * time.Second

// TestChangeReachesCaller measures, with a real registry over real
// connections, how long it takes from when a server begins to register, or to
// deregister, until a caller's list has, or no longer has, it.
func TestChangeReachesCaller(t *testing.T) {
	r := httptest.NewServer(registry.New(registry.DefaultTimeout))
	defer r.Close()
	d := xclient.NewGeeRegistryDiscovery(r.URL, 0)
	defer d.Close()
	const first = "tcp@10.0.0.1:1"
	defer registry.Heartbeat(r.URL, first, time.Hour).Close()
	wantListed(t, d, first)

	var came, left []time.Duration
	for i := range 8 { // where more changes come in a row they are fetched together
		addr := fmt.Sprintf("tcp@10.0.0.2:%d", i+1)
		begin := time.Now()
		registration := registry.Heartbeat(r.URL, addr, time.Hour)
		wantListed(t, d, first, addr)
		came = append(came, time.Since(begin))
		begin = time.Now()
		if err := registration.Close(); err != nil {
			t.Fatal(err)
		}
		wantListed(t, d, first)
		left = append(left, time.Since(begin))
	}
	for _, c := range []struct {
		what string
		took []time.Duration
	}{{"registered", came}, {"deregistered", left}} {
		slices.Sort(c.took)
		n := len(c.took)
		t.Logf("that a server %s is known after %s (median; %s to %s)", c.what, c.took[n/2], c.took[0], c.took[n-1])
		if c.took[n/2] > soon {
			t.Errorf("that a server %s is known after %s", c.what, c.took[n/2])
		}
	}
}

// TestManyCallersHear: one change reaches 200 callers, each of which watches.
func TestManyCallersHear(t *testing.T) {
	t.Parallel()
	r := httptest.NewServer(registry.New(registry.DefaultTimeout))
	defer r.Close()
	const first, second = "tcp@10.0.0.1:1", "tcp@10.0.0.2:1"
	defer registry.Heartbeat(r.URL, first, time.Hour).Close()
	callers := make([]*xclient.GeeRegistryDiscovery, 200)
	for i := range callers {
		callers[i] = xclient.NewGeeRegistryDiscovery(r.URL, 0)
		defer callers[i].Close()
	}
	for _, d := range callers {
		wantListed(t, d, first)
	}
	begin := time.Now()
	defer registry.Heartbeat(r.URL, second, time.Hour).Close()
	for _, d := range callers {
		wantListed(t, d, first, second)
	}
	t.Logf("%d callers know after %s", len(callers), time.Since(begin))
}

// wantListed waits until a discovery knows just these servers.
func wantListed(t *testing.T, d *xclient.GeeRegistryDiscovery, addrs ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		got, err := d.GetAll()
		if err == nil && slices.Equal(got, addrs) {
			return
		}
		select {
		case <-time.After(time.Millisecond): // between two looks, at a real registry
		case <-ctx.Done():
			t.Fatalf("the list is %q, %v; want %q", got, err, addrs)
		}
	}
}

// TestServerItemIsEndpoint: what a registry says of a server arrives, as each of
// the two packages has a type of its own for that.
func TestServerItemIsEndpoint(t *testing.T) {
	item := registry.ServerItem{
		Addr: "tcp@a:1", Weight: 2, Services: []string{"Arith"}, Metadata: map[string]string{"zone": "b"},
		Legacy: true, Silent: true, TTL: time.Minute,
	}
	text, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	var got xclient.Endpoint
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	fields := reflect.ValueOf(got)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		if want := reflect.ValueOf(item).FieldByName(name); !want.IsValid() || fields.Field(i).IsZero() || !reflect.DeepEqual(fields.Field(i).Interface(), want.Interface()) {
			t.Errorf("%s is %v, want %v", name, fields.Field(i), want)
		}
	}
}
