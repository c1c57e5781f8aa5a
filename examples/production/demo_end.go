package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"geerpc"
)

func (d *demo) sigterm() error {
	call, err := d.callUnderWay(2 * time.Second)
	if err != nil {
		return err
	}
	if err := d.sendSIGTERM(); err != nil {
		return err
	}
	err = until(d.ctx, "new connections are refused", func() (bool, error) {
		conn, err := net.Dial("tcp", d.server.addr)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED), nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-call:
		return fmt.Errorf("the call ends before its time: %v", err)
	default:
	}
	d.say("new connections", "are refused; the call goes on")
	if err := <-call; err != nil {
		return fmt.Errorf("the call fails: %w", err)
	}
	d.say("the call", "is answered")
	code, err := d.server.exitCode(d.ctx)
	if err != nil || code != 0 {
		return fmt.Errorf("exit code %d, %v", code, err)
	}
	d.say("the server", "exits with 0")
	return nil
}

func (d *demo) cutOff() error {
	err := d.restart("-drain", "1m")
	if err != nil {
		return err
	}
	call, err := d.callUnderWay(time.Minute)
	if err != nil {
		return err
	}
	if err := errors.Join(d.sendSIGTERM(), d.server.cmd.Process.Signal(syscall.SIGTERM)); err != nil {
		return err
	}
	if err := d.wasCutOff("a second SIGTERM", call, -1); err != nil {
		return err
	}

	if err := d.restart("-drain", "100ms"); err != nil {
		return err
	}
	if call, err = d.callUnderWay(time.Minute); err != nil {
		return err
	}
	if err := d.sendSIGTERM(); err != nil {
		return err
	}
	return d.wasCutOff("the time limit", call, 1)
}

// restart starts a server in place of one that has exited.
func (d *demo) restart(args ...string) error {
	server, err := startServer(d.ctx, d.dir, d.token, args...)
	if err == nil {
		d.server = server
	}
	return err
}

// wasCutOff checks how the server and a call have ended.
func (d *demo) wasCutOff(by string, call <-chan error, exitCode int) error {
	code, err := d.server.exitCode(d.ctx)
	if err != nil || code != exitCode {
		return fmt.Errorf("%s: exit code %d, %v", by, code, err)
	}
	d.say(by, "the server exits: %s", d.server.cmd.ProcessState)
	return d.sayRefused("its call", <-call, geerpc.CodeUnavailable, "")
}

// callUnderWay makes a call, and returns when it runs in the server. Its error follows.
func (d *demo) callUnderWay(takes time.Duration) (<-chan error, error) {
	client, _, err := d.client(d.dir, d.token)
	if err != nil {
		return nil, err
	}
	call := make(chan error, 1)
	go func() { // ends with the call, at the end of the demo at the latest
		err := d.cook(client, takes)
		client.Close()
		call <- err
	}()
	return call, until(d.ctx, "a call runs", func() (bool, error) {
		running, err := d.server.metric(d.ctx, "geerpc_server_calls_in_flight", `rpc_method="Kitchen.Cook"`)
		return running == 1, err
	})
}

// sendSIGTERM returns when the server has noticed it.
func (d *demo) sendSIGTERM() error {
	if err := d.server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_, err := d.server.log.find(d.ctx, "msg", "shutting down")
	return err
}
