package middleware

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A Parcel is an argument that says when it is decoded.
type Parcel struct{ Weight int }

// decoded counts the Parcels.
var decoded int

// GobEncode implements gob.GobEncoder.
func (p Parcel) GobEncode() ([]byte, error) { return []byte{byte(p.Weight)}, nil }

// GobDecode implements gob.GobDecoder.
func (p *Parcel) GobDecode(data []byte) error {
	decoded++
	p.Weight = int(data[0])
	return nil
}

// Post is a service.
type Post struct{}

// Weigh says what a parcel weighs, after a while.
func (Post) Weigh(p Parcel, reply *int) error {
	time.Sleep(100 * time.Millisecond)
	*reply = p.Weight
	return nil
}

// TestAdmit_OnAServer: what RateLimit, Authorize and Shed refuse in Server.Admit is
// refused by the server, never runs, and is not decoded.
func TestAdmit_OnAServer(t *testing.T) {
	shed := &Shed{}
	warm := shed.Intercept(taking(100 * time.Millisecond))
	for name, c := range map[string]struct {
		admit  func(context.Context, string) error
		passes int // calls, before one is refused
		code   geerpc.Code
	}{
		"rate limit": {(&RateLimit{Calls: 2, Per: time.Hour, Key: ByPeer}).Admit, 2, geerpc.CodeResourceExhausted},
		"authorize": {(&Authorize{Identify: []Identify{ByToken("token", map[string]string{"ann": "secret"})},
			Rules: []Rule{Allow("ann", "Post.*")}}).Admit, 0, geerpc.CodeUnauthenticated},
		"shed": {shed.Admit, 0, geerpc.CodeResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range leastTimes {
					warm(t.Context(), "Post.Weigh", nil, nil)
				}
				server := geerpc.NewServer()
				server.Admit = append(server.Admit, c.admit)
				if err := server.Register(Post{}); err != nil {
					t.Fatal(err)
				}
				client := dialServer(t, server)
				decoded = 0
				var weight int
				for range c.passes {
					if err := client.Call(t.Context(), "Post.Weigh", Parcel{3}, &weight); err != nil || weight != 3 {
						t.Fatal(weight, err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				err := client.Call(ctx, "Post.Weigh", Parcel{3}, &weight)
				var e *geerpc.Error
				if !errors.As(err, &e) || e.Code != c.code || e.Where != geerpc.InServer || e.Ran != geerpc.RanNever {
					t.Errorf("refused with %v", err)
				}
				if decoded != c.passes {
					t.Errorf("%d arguments were decoded, want %d", decoded, c.passes)
				}
			})
		})
	}
}
