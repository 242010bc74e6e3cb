"""The HTTP side of the daemon: the API to send, health, measurements; later the pages for people.

uvicorn's protocol (httptools) reads HTTP in our own event loop; Starlette routes everything but the hot path, one raw
ASGI function for `POST /api/v1/messages`. `docs/api.md` says why these two.
"""
