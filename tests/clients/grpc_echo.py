"""A gRPC service over bytes, and a client that calls it through a gateway. No generated code: methods are bytes to bytes.

grpc_echo.py serve            prints its port, serves until it is killed
grpc_echo.py call HOST:PORT   calls every kind of method and says "ok"
"""
import sys
import threading
from concurrent import futures

import grpc


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        if details.method == "/grpc.health.v1.Health/Check":
            # HealthCheckResponse {status: SERVING}
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Many": grpc.unary_stream_rpc_method_handler(self.many),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(name)

    def unary(self, request, context):
        told = dict(context.invocation_metadata())
        context.set_trailing_metadata((("x-seen", told.get("x-own", "")), ("x-proto", told.get("x-forwarded-proto", ""))))
        return b"echo " + request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this")

    def slow(self, request, context):
        threading.Event().wait(5)
        return b""

    def many(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def chat(self, requests, context):
        for request in requests:
            yield b"heard " + request


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def call(address):
    channel = grpc.insecure_channel(address)
    unary = channel.unary_unary("/test.Echo/Unary")
    answer, done = unary.with_call(b"hello", metadata=(("x-own", "kept"),), timeout=10)
    assert answer == b"echo hello", answer
    trailers = dict(done.trailing_metadata())
    assert trailers["x-seen"] == "kept", trailers
    assert trailers["x-proto"] == "http", trailers
    large = b"x" * 3_000_000
    assert unary(large, timeout=30) == b"echo " + large
    try:
        channel.unary_unary("/test.Echo/Fail")(b"", timeout=10)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "not like this", error
    try:
        channel.unary_unary("/test.Echo/Nothing")(b"", timeout=10)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    try:
        channel.unary_unary("/test.Echo/Slow")(b"", timeout=0.5)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    many = list(channel.unary_stream("/test.Echo/Many")(b"1000", timeout=30))
    assert many == [b"%d" % number for number in range(1000)], len(many)
    # Each word is sent only when the one before was answered: nobody on the way may hold anything back.
    heard = threading.Semaphore(1)

    def words():
        for word in (b"one", b"two", b"three"):
            heard.acquire(timeout=10)
            yield word

    said = []
    for answer in channel.stream_stream("/test.Echo/Chat")(words(), timeout=30):
        said.append(answer)
        heard.release()
    assert said == [b"heard one", b"heard two", b"heard three"], said
    print("ok")


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else call(sys.argv[2])
