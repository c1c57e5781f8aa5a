"""jsonrpclib-pelix: pelix.py http HOST PORT"""

import sys

import jsonrpclib
from jsonrpclib.history import History
from jsonrpclib.jsonrpc import ProtocolError

TEXT = 'ж 日本 😀 "\\\u2028\n'


def fails(code, call, *args):
    try:
        result = call(*args)
    except ProtocolError as err:
        assert err.args[0][0] == code, err
        return err.args[0][1]
    raise AssertionError(f"no error, but {result!r}")


def main(transport, host, port):
    history = History()
    server = jsonrpclib.ServerProxy(f"{transport}://{host}:{port}", history=history)

    assert server.subtract(42, 23) == 19
    assert server.subtract(subtrahend=23, minuend=42) == 19
    assert server.sum(1, 2, 4) == 7
    assert server.Text.Echo(TEXT) == TEXT
    assert server.Text.Echo(TEXT * 20_000) == TEXT * 20_000

    assert fails(-32000, server.divide, 1, 0) == "division by zero"
    assert fails(-32005, server.find, "Ada") == "nobody is called Ada"
    # The library has no data for errors with such a code: look at the answer itself.
    error = jsonrpclib.loads(history.response)["error"]
    assert error["data"] == {"code": "not_found", "where": "method", "ran": "yes"}, error
    fails(-32601, server.foobar)
    fails(-32602, server.subtract, "x", 1)

    server._notify.note("noted")
    server._notify.foobar("nobody hears it")

    batch = jsonrpclib.MultiCall(server)
    batch.sum(1, 2, 4)
    batch._notify.note("noted in a batch")
    batch.foobar()
    batch.subtract(minuend=42, subtrahend=23)
    answers = batch()
    # The library does not look at their ids: they have to come in the order of the calls.
    assert len(answers) == 3, answers.results
    assert answers[0] == 7 and answers[2] == 19, answers.results
    fails(-32601, lambda: answers[1])
    print("ok")


main(*sys.argv[1:])
