"""A small server that speaks /v1/chat/completions and misbehaves as a test tells it to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """Within it, a server on a free port.

    answer: the text for the messages of a request; act: called with the number of the request (from 0) and its body
    before that, and may return an HTTP status to fail with, a raw body (bytes) to send, "hang" (s to wait is `pause`)
    or "cut" (the connection is closed without a reply). `requests`: every body that came; `keys`: the Authorization
    header of each.
    """

    def __init__(self, answer=lambda messages: "Yes.", act=lambda number, body: None, pause=5.0):
        self.answer, self.act, self.pause = answer, act, pause
        self.requests, self.keys, self.at_once, self.most_at_once = [], [], 0, 0
        self._lock, self._stopped = threading.Lock(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    number = len(server.requests)
                    server.requests.append(body)
                    server.keys.append(self.headers.get("Authorization"))
                    server.at_once += 1
                    server.most_at_once = max(server.most_at_once, server.at_once)
                try:
                    self._reply(server.act(number, body), body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    with server._lock:
                        server.at_once -= 1

            def _reply(self, act, body):
                if act == "hang":
                    server._stopped.wait(server.pause)
                    act = None
                if act == "cut":
                    self.close_connection = True
                    return
                if isinstance(act, int):
                    self._send(
                        act,
                        json.dumps(
                            {"error": {"message": f"told to fail; the key was {self.headers.get('Authorization')}"}}
                        ).encode(),
                    )
                elif isinstance(act, bytes):
                    self._send(200, act)
                else:
                    message = {"role": "assistant", "content": server.answer(body["messages"])}
                    self._send(200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

            def _send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("retry-after-ms", "5")  # the client's backoff, short enough for a test
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        return Handler
