import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as HttpServerRequest from "#effect/http/HttpServerRequest"
import * as HttpServerResponse from "#effect/http/HttpServerResponse"
import * as Stream from "#effect/Stream"
import { page, scriptHash, styleHash } from "./assets.js"
import type { Recorder } from "./recorder.js"
import { snapshotOf, toJson } from "./snapshot.js"
import { watch } from "./stream.js"

type Respond = (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<HttpServerResponse.HttpServerResponse>

/** What answers at a path, whatever the method. */
export type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

export const handlers = (recorder: Recorder): ReadonlyArray<readonly [path: `/${string}`, handler: Handler]> => [
  ["/", readOnly(() => Effect.succeed(thePage()))],
  ["/events", readOnly((request) => Effect.succeed(eventStream(recorder, request)))],
  ["/state.json", readOnly(() => state(recorder))]
]

const readOnly = (respond: Respond): Handler =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    request.method === "GET" || request.method === "HEAD"
      ? respond(request)
      : Effect.succeed(HttpServerResponse.empty({ status: 405, headers: { allow: "GET, HEAD" } }))
  )

const headers = {
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

/** Script and style stand in the page, so that it needs no path but its own: where that is, only the browser knows. */
const policy = [
  "default-src 'none'",
  `script-src '${scriptHash}'`,
  `style-src '${styleHash}'`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  "require-trusted-types-for 'script'"
].join("; ")

/** It is the same for every pool: what it shows comes over the stream, and is set as text. */
const thePage = (): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(page, {
    contentType: "text/html; charset=utf-8",
    headers: { ...headers, "content-security-policy": policy }
  })

const eventStream = (
  recorder: Recorder,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const recorded = recorder.pools[chosenPool(request)] ?? recorder.pools[0]
  if (recorded === undefined) return HttpServerResponse.empty({ status: 404, headers })
  return HttpServerResponse.stream(Stream.encodeText(watch(recorder, recorded, request)), {
    contentType: "text/event-stream",
    // A proxy must pass on what it gets; a connection kept alive would hold the server's shutdown up for seconds.
    headers: { ...headers, connection: "close", "x-accel-buffering": "no" }
  })
}

/** `?pool=1` is the second one. Whoever mounts the page may have a query of that name, too: what is no number is not ours. */
const chosenPool = ({ url }: HttpServerRequest.HttpServerRequest): number => {
  const query = url.indexOf("?")
  return query === -1 ? 0 : Number(new URLSearchParams(url.slice(query)).get("pool"))
}

const state = (recorder: Recorder): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const pools = yield* Effect.forEach(recorder.pools, ({ name, pool }) => snapshotOf(pool, name, () => now))
    return HttpServerResponse.text(toJson({ pools }), { contentType: "application/json", headers })
  })
