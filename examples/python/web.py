"""A WSGI app, as Flask and Django make them (PEP 3333)."""

import os

GREETING = f"Hello from {os.environ['PS']}\n".encode()


def app(environ, start_response):
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(GREETING)))]
    start_response("200 OK", headers)
    return [GREETING]
