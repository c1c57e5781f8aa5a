// What a client of JSON-RPC must be able to do with the server in foreign_test.go.

'use strict';
const assert = require('node:assert/strict');

const text = 'ж 日本 😀 "\\\u2028\n';

// A client has call(method, params), which rejects with an error that has a code, a
// message and data, and notify(method, params).
exports.checkCalls = async function (client) {
  assert.equal(await client.call('subtract', [42, 23]), 19);
  assert.equal(await client.call('subtract', { subtrahend: 23, minuend: 42 }), 19);
  assert.equal(await client.call('sum', [1, 2, 4]), 7);
  assert.equal(await client.call('Text.Echo', [text]), text);
  const long = text.repeat(20_000);
  assert.equal(await client.call('Text.Echo', [long]), long);

  await fails(client.call('divide', [1, 0]), {
    code: -32000, message: 'division by zero',
    data: { code: 'unknown', where: 'method', ran: 'yes' },
  });
  await fails(client.call('find', ['Ada']), {
    code: -32005, message: 'nobody is called Ada',
    data: { code: 'not_found', where: 'method', ran: 'yes' },
  });
  await fails(client.call('foobar', [1]), {
    code: -32601, data: { code: 'not_found', where: 'server', ran: 'never' },
  });
  await fails(client.call('subtract', ['x', 1]), {
    code: -32602, data: { code: 'invalid_argument', where: 'server', ran: 'never' },
  });

  await client.notify('note', ['noted']);
  await client.notify('foobar', ['nobody hears it']);

  const sums = Array.from({ length: 100 }, (_, i) => client.call('sum', [i, 1]));
  assert.deepEqual(await Promise.all(sums), Array.from(sums, (_, i) => i + 1));
};

// checkBatch checks the answers to a batch of batchCalls.
exports.batchCalls = [
  { method: 'sum', params: [1, 2, 4], id: 'a' },
  { method: 'note', params: ['noted in a batch'] },
  { method: 'foobar', id: 'b' },
  { method: 'subtract', params: { minuend: 42, subtrahend: 23 }, id: 'c' },
].map(call => ({ jsonrpc: '2.0', ...call }));

exports.checkBatch = function (answers) {
  assert.equal(answers.length, 3);
  const byID = Object.fromEntries(answers.map(answer => [answer.id, answer]));
  assert.equal(byID.a.result, 7);
  assert.equal(byID.b.error.code, -32601);
  assert.equal(byID.c.result, 19);
};

async function fails(call, want) {
  await assert.rejects(call, err => {
    for (const member in want) {
      assert.deepEqual(err[member], want[member], `${member} of ${JSON.stringify(err)}`);
    }
    return true;
  });
}
