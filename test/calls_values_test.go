package test

import (
	"context"
	"encoding/gob"
	"errors"
	"testing"

	"geerpc"
	"geerpc/codec"
)

type (
	Family struct {
		Name     string
		Parent   *Family
		Children []*Family
	}
	Account struct {
		Name  string
		Roles map[string]int
		Any   any
		Next  *Account
	}
)

func init() { gob.Register(&Family{}) }

func newFamily() *Family {
	f := &Family{Name: "parent"}
	f.Children = []*Family{{Name: "child", Parent: f}}
	return f
}

// Values has methods whose replies are special.
type Values struct{}

func (Values) Family(_ Args, reply *Family) error    { *reply = *newFamily(); return nil }
func (Values) Any(_ Args, reply *LargeReply) error   { reply.Any = newFamily(); return nil }
func (Values) Nobody(_ Args, reply **Account) error  { *reply = nil; return nil }
func (Values) Name(a Account, reply *string) error   { *reply = a.Name + "."; return nil }
func (Values) Child(f Family, reply *string) error   { *reply = f.Name; return nil }
func (Values) Unset(_ **Account, reply *[]int) error { *reply = []int{1}; return nil }

// TestC128_Cycles calls with a value that holds itself, and has a method answer
// with one. Both calls fail alone: neither process ends.
func TestC128_Cycles(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.Register(Values{})
		client := e.dial(nil)
		ctx := context.Background()
		for range 2 {
			var e *geerpc.Error
			var name string
			err := client.Call(ctx, "Values.Child", newFamily(), &name)
			if !errors.As(err, &e) || e.Code != geerpc.CodeInvalidArgument || e.Ran != geerpc.RanNever {
				t.Errorf("arguments: %v (%+v)", err, e)
			}
			for _, method := range []string{"Values.Family", "Values.Any"} {
				err = client.Call(ctx, method, Args{}, new(LargeReply))
				if !errors.As(err, &e) || e.Code != geerpc.CodeInternal || e.Ran != geerpc.RanYes {
					t.Errorf("reply of %s: %v (%+v)", method, err, e)
				}
			}
			if err := client.Call(ctx, "Values.Child", &Family{Name: "n"}, &name); err != nil || name != "n" {
				t.Errorf("after that: %q, %v", name, err)
			}
		}
	})
}

// TestC124_NilPointers calls with pointers that lead nowhere, and has a method
// leave its reply nil.
func TestC124_NilPointers(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		if e.codec == framedJSON {
			t.Skip("the serializer is the user's")
		}
		e.Register(Values{})
		client := e.dial(nil)
		ctx := context.Background()
		var none *Account
		for _, args := range []any{none, &none, new(**Account)} {
			var name string
			if err := client.Call(ctx, "Values.Name", args, &name); err != nil || name != "." {
				t.Errorf("with a %T: %q, %v", args, name, err)
			}
			var list []int
			if err := client.Call(ctx, "Values.Unset", args, &list); err != nil || len(list) != 1 {
				t.Errorf("with a %T: %v, %v", args, list, err)
			}
		}
		var account Account
		if err := client.Call(ctx, "Values.Nobody", Args{}, &account); err != nil || account.Name != "" || account.Roles != nil {
			t.Errorf("a nil reply is %+v, %v", account, err)
		}
	})
}

// TestC125_LimitThenGood has an encoder grow over the limit: its type is sent
// with the next value.
func TestC125_LimitThenGood(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		if e.codec != codec.GobType {
			t.Skip("of gob only")
		}
		e.Register(Values{})
		e.MaxMessageBytes = 2000
		client := e.dial(nil)
		for _, size := range []int{1990, 3000, 10, 3000, 10} {
			var name string
			err := client.Call(context.Background(), "Values.Name", Account{Name: string(make([]byte, size)), Any: size}, &name)
			if fits := size == 10; (err == nil) != fits || fits && len(name) != size+1 {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
}
