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

service Work {
  AddReply Add(1: AddArgs args)
  Bytes Echo(1: Bytes args)
}
