package gobstream

import (
	"bytes"
	"encoding/gob"
	"testing"
	"time"
)

// An order is what a service's arguments look like.
type order struct {
	ID       int64
	At       time.Time
	Customer *struct {
		Name    string
		Address struct{ Street, City, Country string }
	}
	Lines []orderLine
	Notes map[string]string
	Paid  bool
}

type orderLine struct {
	SKU   string
	Qty   int
	Price float64
	Tags  []string
}

func newOrder() *order {
	o := &order{ID: 4711, At: time.Unix(1e9, 0).UTC(), Paid: true,
		Notes: map[string]string{"gift": "yes", "door": "left", "note": "ring twice"}}
	o.Customer = new(struct {
		Name    string
		Address struct{ Street, City, Country string }
	})
	o.Customer.Name, o.Customer.Address.City = "Ada Lovelace", "London"
	for range 5 {
		o.Lines = append(o.Lines, orderLine{"SKU-0815", 3, 9.99, []string{"red", "large"}})
	}
	return o
}

func BenchmarkOrder(b *testing.B) {
	o := newOrder()
	b.Run("write/gob", func(b *testing.B) {
		var out bytes.Buffer
		enc := gob.NewEncoder(&out)
		for b.Loop() {
			out.Reset()
			enc.Encode(o)
		}
	})
	b.Run("write/plan", func(b *testing.B) {
		var w Writer
		var buf []byte
		for b.Loop() {
			buf, _ = w.Append(buf[:0], o, 0)
			w.Sent(buf)
		}
	})
	written := encoded(b, o, o)
	b.Run("read/gob", func(b *testing.B) {
		var in bytes.Buffer
		dec := gob.NewDecoder(&in)
		in.Write(written[0])
		dec.Decode(new(order))
		for b.Loop() {
			in.Write(written[1])
			var got order
			if err := dec.Decode(&got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read/plan", func(b *testing.B) {
		var r Reader
		r.Decode(written[0], new(order))
		for b.Loop() {
			var got order
			if err := r.Decode(written[1], &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNumbers is for the loops that slices of numbers have to themselves.
func BenchmarkNumbers(b *testing.B) {
	numbers := make([]int, 100_000)
	for i := range numbers {
		numbers[i] = i * i
	}
	var w Writer
	var r Reader
	var buf []byte
	for b.Loop() {
		buf, _ = w.Append(buf[:0], &numbers, 0)
		w.Sent(buf)
		if err := r.Decode(buf, new([]int)); err != nil {
			b.Fatal(err)
		}
	}
}
