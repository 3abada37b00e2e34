"""An ASGI app, as FastAPI and Starlette make them (asgi.readthedocs.io)."""

import os

GREETING = f"Hello from {os.environ['PS']}\n".encode()


async def app(scope, receive, send):
    # The other type is "lifespan", start and end of the server; it takes an exception for "no interest".
    assert scope["type"] == "http"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(GREETING)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": GREETING})
