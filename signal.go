package geerpc

import "sync"

// A signalOnce is a channel that is closed once. The zero value is ready.
type signalOnce struct {
	made, sent sync.Once
	c          chan struct{}
}

// channel returns the channel, which is closed by send.
func (s *signalOnce) channel() chan struct{} {
	s.made.Do(func() { s.c = make(chan struct{}) })
	return s.c
}

func (s *signalOnce) send() { s.sent.Do(func() { close(s.channel()) }) }
