package geerpc

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
)

// What PROTOCOL.md shows is what goes over the wire: these tests take the
// examples out of the document and play them to a server.

// A block is a fenced block of a document.
type block struct {
	heading string // the nearest above it
	kind    string // behind the fence
	text    string
}

// blocks returns the fenced blocks of one kind in a document.
func blocks(t *testing.T, file, kind string) (found []block) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b *block
	heading := ""
	for line := range strings.Lines(string(data)) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && b == nil:
			b = &block{heading: heading, kind: fence}
		case isFence:
			if b.kind == kind {
				found = append(found, *b)
			}
			b = nil
		case b != nil:
			b.text += line
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "# "))
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no block of kind %s", file, kind)
	}
	return found
}

// endOfStream stands in a transcript where the server closes the connection.
const endOfStream = "(end of stream)"

// TestProtocolTranscripts plays the client's lines (>) of each "wire" block and
// compares what the server answers with its lines (<).
func TestProtocolTranscripts(t *testing.T) {
	for i, b := range blocks(t, "PROTOCOL.md", "wire") {
		t.Run(fmt.Sprintf("%d %s", i+1, b.heading), func(t *testing.T) {
			transport := "tcp"
			if strings.HasPrefix(b.text, "> CONNECT") {
				transport = "http"
			}
			started := make(chan bool, 1)
			e := documented(t, transport, codec.JsonType, started)
			conn := rawDial(t, e.lis)
			in := bufio.NewReader(conn)
			waits := false
			for line := range strings.Lines(b.text) {
				playLine(t, conn, in, strings.TrimSuffix(line, "\n"))
				if waits { // that was its body: it has to run before what follows
					<-started
				}
				waits = strings.HasPrefix(line, `> {"ServiceMethod":"Arith.Wait"`)
			}
		})
	}
}

// A documentedArith is the service that PROTOCOL.md describes, with the
// README's Add.
type documentedArith struct{ started chan bool }

func (documentedArith) Add(ctx context.Context, args Args, sum *int) error {
	*sum = args.A + args.B
	return nil
}

func (documentedArith) Div(ctx context.Context, args Args, quotient *int) error {
	if args.B == 0 {
		return errors.New("100% of load: division by zero")
	}
	*quotient = args.A / args.B
	return nil
}

func (documentedArith) Panic(ctx context.Context, args Args, reply *int) error {
	panic("out of coffee")
}

// Wait waits for its context to end. It says when it has begun.
func (a documentedArith) Wait(ctx context.Context, args Args, reply *int) error {
	a.started <- true
	<-ctx.Done()
	return ctx.Err()
}

// documented starts a server with a documentedArith.
func documented(t *testing.T, transport string, c codec.Type, started chan bool) *env {
	t.Helper()
	e := &env{Server: NewServer(), t: t, transport: transport, codec: c}
	if err := e.RegisterName("Arith", documentedArith{started}); err != nil {
		t.Fatal(err)
	}
	e.start()
	return e
}

func rawDial(t *testing.T, lis net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(lis.Addr().Network(), lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func playLine(t *testing.T, conn net.Conn, in *bufio.Reader, line string) {
	t.Helper()
	if text, ok := strings.CutPrefix(line, ">"); ok {
		if _, err := fmt.Fprintln(conn, strings.TrimPrefix(text, " ")); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, ok := strings.CutPrefix(line, "<")
	if !ok {
		t.Fatalf("neither > nor < in front of %q", line)
	}
	want := strings.TrimPrefix(text, " ")
	got, err := in.ReadString('\n')
	got = strings.Replace(got, "\r\n", "\n", 1) // in HTTP
	if want == endOfStream && got == "" && err == io.EOF {
		return
	}
	if !fits(got, want+"\n") {
		t.Errorf("the server answers\n  %s, %v; documented is\n  %s", got, err, want)
	}
}

// fits reports whether a line is as documented, where … stands for any text.
func fits(got, want string) bool {
	before, rest, elided := strings.Cut(want, "…")
	got, ok := strings.CutPrefix(got, before)
	for ok && elided {
		if before, rest, elided = strings.Cut(rest, "…"); !elided {
			return strings.HasSuffix(got, before)
		}
		_, got, ok = strings.Cut(got, before)
	}
	return ok && got == ""
}

// TestFits checks the rule that the transcripts are compared by.
func TestFits(t *testing.T) {
	for _, c := range []struct {
		got, want string
		fits      bool
	}{
		{"abc", "abc", true}, {"abcd", "abc", false}, {"abc", "a…c", true}, {"abc", "a…", true}, {"abd", "a…c", false},
		{"abcde", "a…c…e", true}, {"abcdef", "a…c…e", false}, {"abde", "a…c…e", false}, {"bc", "a…c", false},
	} {
		if fits(c.got, c.want) != c.fits {
			t.Errorf("%q as %q: not %v", c.got, c.want, c.fits)
		}
	}
}

// TestProtocolFrames plays the documented bytes of a call on the framed layout
// and compares the reply with the documented bytes.
func TestProtocolFrames(t *testing.T) {
	frames := blocks(t, "PROTOCOL.md", "hex")
	if len(frames) != 2 {
		t.Fatalf("%d hex blocks, want a call and a reply", len(frames))
	}
	e := documented(t, "tcp", framedJSON, nil)
	conn := rawDial(t, e.lis)
	fmt.Fprintf(conn, `{"MagicNumber":3927900,"CodecType":%q,"Ack":true,"Extended":true,"Kinds":["reply"]}`, framedJSON)
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"OK":true,`) {
		t.Fatalf("the acknowledgement is %s, %v", line, err)
	}
	call, reply := unhex(t, frames[0]), unhex(t, frames[1])
	if _, err := conn.Write(call); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(reply))
	if _, err := io.ReadFull(in, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(reply) {
		t.Errorf("the server answers\n%sdocumented is\n%s", hex.Dump(got), hex.Dump(reply))
	}
}

// unhex returns the bytes of a hex block: those of each line up to two blanks,
// behind which it says what they are.
func unhex(t *testing.T, b block) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(b.text) {
		bytes, _, _ := strings.Cut(line, "  ")
		digits.WriteString(strings.ReplaceAll(strings.TrimSpace(bytes), " ", ""))
	}
	data, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestProtocolFramesAreWritten has the codec write the documented frames, so
// that they are what our own client sends, too.
func TestProtocolFramesAreWritten(t *testing.T) {
	frames := blocks(t, "PROTOCOL.md", "hex")
	newCodec, err := codec.Lookup(framedJSON)
	if err != nil {
		t.Fatal(err)
	}
	call := codec.Header{ServiceMethod: "Arith.Add", Seq: 300}
	*call.Frame() = codec.Frame{Timeout: int64(1500 * time.Millisecond), Metadata: Metadata{"user": "gee"}}
	reply := codec.Header{Seq: 300}
	*reply.Frame() = codec.Frame{Kind: codec.Reply}
	sum := 3
	for i, m := range []struct {
		header *codec.Header
		body   any
	}{{&call, Args{1, 2}}, {&reply, &sum}} {
		var out recorder
		if err := newCodec(&out).Write(m.header, m.body); err != nil {
			t.Fatal(err)
		}
		if want := unhex(t, frames[i]); string(out.data) != string(want) {
			t.Errorf("written is\n%sdocumented is\n%s", hex.Dump(out.data), hex.Dump(want))
		}
	}
}

// A recorder keeps what is written.
type recorder struct{ data []byte }

func (r *recorder) Write(p []byte) (int, error) {
	r.data = append(r.data, p...)
	return len(p), nil
}

func (r *recorder) Read([]byte) (int, error) { return 0, io.EOF }
func (r *recorder) Close() error             { return nil }

// TestProtocolNumbers compares the tables of codes, places and answers with
// the constants.
func TestProtocolNumbers(t *testing.T) {
	data, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	name := map[string]func(i uint8) string{
		"Code":  func(i uint8) string { return Code(i).String() },
		"Where": func(i uint8) string { return Where(i).String() },
		"Ran":   func(i uint8) string { return Ran(i).String() },
		"Kind":  func(i uint8) string { return codec.Kind(i).String() },
	}
	for kind, name := range name {
		for i := uint8(0); !strings.HasSuffix(name(i), ")"); i++ {
			if entry := fmt.Sprintf("| %s | %d | %s |", kind, i, name(i)); !strings.Contains(string(data), entry) {
				t.Errorf("PROTOCOL.md has no line that begins with %q", entry)
			}
		}
	}
}

// TestProtocolPython runs the documented client in Python.
func TestProtocolPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("there is no python3")
	} else if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "client.py")
	if err := os.WriteFile(script, []byte(blocks(t, "PROTOCOL.md", "python")[0].text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := documented(t, "tcp", codec.JsonType, nil)
	host, port, _ := net.SplitHostPort(e.lis.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, script, host, port).CombinedOutput()
	want := blocks(t, "PROTOCOL.md", "output")[0].text
	if err != nil || string(out) != want {
		t.Errorf("the client says\n%s%v; documented is\n%s", out, err, want)
	}
}
