package main

import (
	"fmt"
	"time"
)

// An Order is what services send each other. The libraries with generated code have the
// same in types of their own.
type Order struct {
	ID       int64
	At       time.Time
	Customer *Customer
	Lines    []Line
	Notes    map[string]string
	Paid     bool
}

// A Customer is a part of an Order.
type Customer struct {
	Name    string
	Email   string
	Address Address
}

// An Address is a part of an Order.
type Address struct{ Street, City, Zip, Country string }

// A Line is a part of an Order.
type Line struct {
	SKU   string
	Qty   int
	Price float64
	Tags  []string
}

// newOrder returns the order that all callers place.
func newOrder() *Order {
	o := &Order{
		At: time.Unix(1_700_000_000, 123_456_789).UTC(), Paid: true,
		Customer: &Customer{"Grace Hopper", "grace@example.com", Address{"1 Harbour Road", "Arlington", "22201", "US"}},
		Notes:    map[string]string{"gift": "yes", "door": "left of the stairs", "voice": "ring twice"},
	}
	for i := range 5 {
		o.Lines = append(o.Lines, Line{fmt.Sprintf("SKU-%06d", i), i + 1, 9.99 * float64(i+1), []string{"fragile", "blue"}})
	}
	return o
}

// compare returns an error if o is not the echo of an order.
func (o *Order) compare(sent *Order) error {
	last := len(sent.Lines) - 1
	return errOrder(o.ID == sent.ID, o.At.Equal(sent.At), o.Paid, len(o.Notes) == len(sent.Notes),
		len(o.Lines) > last && o.Lines[last].SKU == sent.Lines[last].SKU && len(o.Lines[last].Tags) == 2,
		o.Customer != nil && *o.Customer == *sent.Customer)
}

// errOrder says that an echo differs, if any of what was looked at is not the same. To
// compare all of an order would cost more than some libraries do.
func errOrder(same ...bool) error {
	for i, ok := range same {
		if !ok {
			return fmt.Errorf("the echo of an order differs in part %d", i)
		}
	}
	return nil
}
