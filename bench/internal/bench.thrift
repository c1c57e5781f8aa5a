// The service of the harness, for kitex.
namespace go bench

struct AddArgs {
  1: i64 a
  2: i64 b
}

struct AddReply {
  1: i64 c
}

struct Bytes {
  1: binary data
}

struct Address {
  1: string street
  2: string city
  3: string zip
  4: string country
}

struct Customer {
  1: string name
  2: string email
  3: Address address
}

struct Line {
  1: string sku
  2: i64 qty
  3: double price
  4: list<string> tags
}

struct Order {
  1: i64 id
  2: i64 at // Unix time in nanoseconds
  3: Customer customer
  4: list<Line> lines
  5: map<string, string> notes
  6: bool paid
}

service Work {
  AddReply Add(1: AddArgs args)
  Bytes Echo(1: Bytes args)
  Order Place(1: Order args)
}
