// json-rpc-2.0, which is given a transport: node json-rpc-2.0.js tcp|http HOST PORT

'use strict';
const net = require('node:net');
const readline = require('node:readline');
const { JSONRPCClient } = require('json-rpc-2.0');
const { checkCalls, checkBatch, batchCalls } = require('./check');

const [transport, host, port] = process.argv.slice(2);

// One POST for each request, as in the library's documentation.
function overHTTP() {
  const client = new JSONRPCClient(async request => {
    const response = await fetch(`http://${host}:${port}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    if (response.status === 200) {
      client.receive(await response.json());
    } else if (request.id !== undefined) {
      throw new Error(response.statusText);
    }
  });
  return { client, close() {} };
}

// One connection for all, with a message on each line.
function overTCP() {
  const socket = net.connect(port, host);
  const client = new JSONRPCClient(async request => {
    socket.write(JSON.stringify(request) + '\n');
  });
  readline.createInterface({ input: socket }).on('line', line => client.receive(JSON.parse(line)));
  socket.on('close', () => client.rejectAllPendingRequests('the connection is closed'));
  return { client, close: () => socket.end() };
}

async function main() {
  const { client, close } = transport === 'tcp' ? overTCP() : overHTTP();
  await checkCalls({
    call: (method, params) => client.request(method, params),
    notify: (method, params) => client.notify(method, params),
  });
  checkBatch(await client.requestAdvanced(batchCalls));
  close();
  console.log('ok');
}

main();
