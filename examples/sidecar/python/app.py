"""An articles service that says in its answers what a cache may do with them. The standard library is all it needs.

    python3 examples/sidecar/python/app.py
    forebay serve --origin http://127.0.0.1:8000

PORT (default 8000; 0 takes a free one).
"""

import hashlib
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ARTICLES = {"1": "Bread with rye", "2": "Soup of beans"}

# An article is good for a minute. For half a minute more an old one is given at once and fetched anew beside that; while
# this service is down, an old one is given for a day.
ARTICLE = "max-age=60, stale-while-revalidate=30, stale-if-error=86400"
# The list is asked about each time, which costs no more than a 304; while this service is down, an old one will do.
LIST = "max-age=0, stale-if-error=86400"


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, and Forebay uses them again

    def do_GET(self):
        number = self.path.removeprefix("/articles/")
        if self.path == "/articles":
            lines = [f"{number}: {text}\n" for number, text in sorted(ARTICLES.items())]
            # A group is named in an answer that changes it, below; a tag in a call of the admin API.
            self.cached("".join(lines), LIST, {"Cache-Groups": '"articles"', "Surrogate-Key": "articles"})
        elif number in ARTICLES:
            tags = {"Surrogate-Key": f"article-{number} articles"}
            self.cached(ARTICLES[number] + "\n", ARTICLE, tags)
        else:
            self.answer(404, "no such article\n", {"Cache-Control": "max-age=5"})

    do_HEAD = do_GET

    def do_POST(self):
        number = self.path.removeprefix("/articles/")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or not number.isdigit():
            self.close_connection = True  # what follows on it may be a body
            return self.answer(400, "an article's path and a Content-Length are needed\n", {})
        ARTICLES[number] = self.rfile.read(int(length)).decode()
        # The article's own URL needs no mention: its success tells the cache that it has changed.
        self.answer(200, "changed\n", {"Cache-Group-Invalidation": '"articles"'})

    def cached(self, text, control, fields):
        tag = '"' + hashlib.sha256(text.encode()).hexdigest()[:16] + '"'
        fields = {"ETag": tag, "Cache-Control": control, **fields}
        if self.headers.get("If-None-Match") == tag:
            return self.answer(304, "", fields)
        self.answer(200, text, fields)

    def answer(self, status, text, fields):
        body = text.encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Service)
    print(f"articles on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
