"""The least WSGI application and the least ASGI application."""


def wsgi(environ, start_response):
    start_response("200 OK", [("content-length", "3")])
    return [b"ok\n"]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"ok\n"})
