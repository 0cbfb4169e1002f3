// An articles service that says in its answers what a cache may do with them. Node is all it needs.
//
//     node examples/sidecar/node/app.mjs
//     forebay serve --origin http://127.0.0.1:8000
//
// PORT (default 8000; 0 takes a free one).

import { createHash } from "node:crypto";
import { createServer } from "node:http";

const articles = new Map([["1", "Bread with rye"], ["2", "Soup of beans"]]);

// An article is good for a minute. For half a minute more an old one is given at once and fetched anew beside that; while
// this service is down, an old one is given for a day.
const ARTICLE = "max-age=60, stale-while-revalidate=30, stale-if-error=86400";
// The list is asked about each time, which costs no more than a 304; while this service is down, an old one will do.
const LIST = "max-age=0, stale-if-error=86400";

const server = createServer(async (request, response) => {
  console.error(request.method, request.url);
  const number = request.url.startsWith("/articles/") ? request.url.slice("/articles/".length) : undefined;
  if (request.method === "POST" && /^\d+$/.test(number)) {
    await change(number, request, response);
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    answer(response, 405, "not like this\n", { Allow: "GET, HEAD, POST" });
  } else if (request.url === "/articles") {
    const lines = [...articles].sort().map(([number, text]) => `${number}: ${text}\n`);
    // A group is named in an answer that changes it, below; a tag in a call of the admin API.
    const tags = { "Cache-Groups": '"articles"', "Surrogate-Key": "articles" };
    cached(request, response, lines.join(""), LIST, tags);
  } else if (articles.has(number)) {
    const tags = { "Surrogate-Key": `article-${number} articles` };
    cached(request, response, `${articles.get(number)}\n`, ARTICLE, tags);
  } else {
    answer(response, 404, "no such article\n", { "Cache-Control": "max-age=5" });
  }
});

async function change(number, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  articles.set(number, Buffer.concat(chunks).toString());
  // The article's own URL needs no mention: its success tells the cache that it has changed.
  answer(response, 200, "changed\n", { "Cache-Group-Invalidation": '"articles"' });
}

function cached(request, response, text, control, fields) {
  const tag = `"${createHash("sha256").update(text).digest("hex").slice(0, 16)}"`;
  fields = { ETag: tag, "Cache-Control": control, ...fields };
  if (request.headers["if-none-match"] === tag) {
    response.writeHead(304, fields).end();
  } else {
    answer(response, 200, text, fields);
  }
}

function answer(response, status, text, fields) {
  const type = { "Content-Type": "text/plain; charset=utf-8", "Content-Length": Buffer.byteLength(text) };
  response.writeHead(status, { ...fields, ...type }).end(text);
}

server.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
  console.log(`articles on http://127.0.0.1:${server.address().port}`);
});
