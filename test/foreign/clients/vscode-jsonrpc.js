// vscode-jsonrpc over TCP: node vscode-jsonrpc.js tcp HOST PORT
//
// Its own reader and writer put a Content-Length header before each message, which is no
// part of JSON-RPC. It takes others in their place: these have a message on each line. It
// knows no batches.

'use strict';
const net = require('node:net');
const readline = require('node:readline');
const rpc = require('vscode-jsonrpc/node');
const { checkCalls } = require('./check');

class LineReader extends rpc.AbstractMessageReader {
  constructor(socket) {
    super();
    this.socket = socket;
  }
  listen(callback) {
    const lines = readline.createInterface({ input: this.socket });
    lines.on('line', line => callback(JSON.parse(line)));
    this.socket.on('error', err => this.fireError(err));
    this.socket.on('close', () => this.fireClose());
    return { dispose: () => lines.close() };
  }
}

class LineWriter extends rpc.AbstractMessageWriter {
  constructor(socket) {
    super();
    this.socket = socket;
  }
  async write(message) {
    this.socket.write(JSON.stringify(message) + '\n');
  }
  end() {
    this.socket.end();
  }
}

async function main() {
  const [, host, port] = process.argv.slice(2);
  const socket = net.connect(port, host);
  const connection = rpc.createMessageConnection(new LineReader(socket), new LineWriter(socket));
  connection.onError(([err]) => { throw err; });
  connection.listen();
  await checkCalls({
    call: (method, params) => connection.sendRequest(method, ...[params].flat()),
    notify: (method, params) => connection.sendNotification(method, ...[params].flat()),
  });
  connection.end();
  console.log('ok');
}

main();
