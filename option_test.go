package geerpc

import (
	"encoding/json"
	"testing"
	"time"

	"geerpc/codec"
)

func TestOption_Parse(t *testing.T) {
	base := Option{MagicNumber: MagicNumber, CodecType: codec.GobType, MaxMessageBytes: DefaultMaxMessageBytes,
		PingInterval: DefaultPingInterval, PingTimeout: DefaultPingTimeout, FlushTimeout: DefaultFlushTimeout}
	standard := base
	standard.ConnectTimeout = DefaultConnectTimeout
	unlimited := base
	unlimited.MaxMessageBytes, unlimited.PingInterval, unlimited.PingTimeout, unlimited.FlushTimeout = 0, 0, 0, 0
	own := base
	own.CodecType, own.HandleTimeout, own.ConnectTimeout, own.MaxMessageBytes = codec.JsonType, time.Minute, time.Second, 99
	cases := []struct {
		name string
		in   []*Option
		want Option
	}{
		{"none", nil, standard},
		{"nil", []*Option{nil}, standard},
		{"zero: defaults, no limit on connecting", []*Option{{}}, base},
		{"negative: no limits", []*Option{{MaxMessageBytes: -1, PingInterval: -1, PingTimeout: -1, FlushTimeout: -1, HandleTimeout: -1}}, unlimited},
		{"values are kept, the magic number is ours", []*Option{{MagicNumber: 1, CodecType: codec.JsonType, HandleTimeout: time.Minute, ConnectTimeout: time.Second, MaxMessageBytes: 99}}, own},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseOptions(c.in...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Logger == nil {
				t.Error("no logger")
			}
			gotJSON, _ := json.Marshal(got)
			wantJSON, _ := json.Marshal(c.want)
			if string(gotJSON) != string(wantJSON) || got.MaxMessageBytes != c.want.MaxMessageBytes || got.PingInterval != c.want.PingInterval ||
				got.PingTimeout != c.want.PingTimeout || got.FlushTimeout != c.want.FlushTimeout {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	_, err := parseOptions(&Option{}, &Option{})
	wantError(t, err, CodeInvalidArgument, InClient, RanNever)
	given := Option{CodecType: ""}
	if parseOptions(&given); given.CodecType != "" || given.MaxMessageBytes != 0 {
		t.Errorf("the caller's option was changed: %+v", given)
	}
}
