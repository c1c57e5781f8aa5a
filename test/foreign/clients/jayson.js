// jayson, over TCP and over HTTP: node jayson.js tcp|http HOST PORT

'use strict';
const assert = require('node:assert/strict');
const { Client } = require('jayson/promise');
const { checkCalls, checkBatch, batchCalls } = require('./check');

const [transport, host, port] = process.argv.slice(2);

async function main() {
  const client = Client[transport]({ host, port });
  await checkCalls({
    async call(method, params) {
      const { result, error } = await client.request(method, params);
      if (error) {
        throw error;
      }
      return result;
    },
    notify: (method, params) => client.request(method, params, null),
  });
  checkBatch(await client.request(batchCalls));

  // JSON-RPC 1.0 is that of net/rpc/jsonrpc: one argument, and errors are texts.
  const old = Client[transport]({ host, port, version: 1 });
  assert.equal((await old.request('subtract', [{ minuend: 42, subtrahend: 23 }])).result, 19);
  assert.equal((await old.request('divide', [{ dividend: 1 }])).error, 'division by zero');
  console.log('ok');
}

main();
