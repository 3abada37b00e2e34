"""Says hello on PORT, and who says it."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = ("127.0.0.1", int(os.environ["PORT"]))
GREETING = f"{os.environ['GREETING']} {os.environ['PS']}\n".encode()


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(GREETING)))
        self.end_headers()
        self.wfile.write(GREETING)


with ThreadingHTTPServer(ADDRESS, Hello) as server:
    # A pipe is not a terminal: without flush, Python would keep the line for itself.
    print(f"listening on http://localhost:{ADDRESS[1]}/", flush=True)
    server.serve_forever()
