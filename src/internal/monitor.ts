import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { PoolStats } from "../PoolStats.js"
import type { ConnectionInfo } from "../WebSocketConnection.js"
import type { WebSocketPool } from "../WebSocketPool.js"
import { Digest, type Summary } from "./monitorDigest.js"
import { page, script, style } from "./monitorPage.js"
import { inspect } from "./webSocketPool.js"

/** How often a page is told how things stand. */
const interval = Duration.millis(500)

/** Connections that are listed; of a pool that has more, the others are only counted. */
const connectionsListed = 500

/** When a page that has lost its stream asks for another one: soon, or seldom when the pool is closed. */
const retryMillis = 2_000
const retryClosedMillis = 10_000

/** What a page is told. */
interface Sample extends Summary {
  /** Milliseconds since the epoch, by the server's clock. */
  readonly now: number
  readonly pool: string | null
  readonly stats: PoolStats
  /** `null` if the pool is an implementation that cannot be asked. */
  readonly connections: ReadonlyArray<ConnectionInfo> | null
  readonly connectionsLeftOut: number
}

export const monitor = (pool: WebSocketPool): HttpRouter.HttpRouter =>
  HttpRouter.empty.pipe(
    HttpRouter.all(
      "/",
      readOnly(() => thePage)
    ),
    HttpRouter.all(
      "/events",
      readOnly((request) => Effect.succeed(eventStream(pool, request)))
    )
  )

const readOnly = (
  respond: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<HttpServerResponse.HttpServerResponse>
) =>
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

// The page

const sha256 = (text: string): Effect.Effect<string> =>
  Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).pipe(
    Effect.map((digest) => `'sha256-${Encoding.encodeBase64(new Uint8Array(digest))}'`)
  )

/** Script and style stand in the page, so that it needs no path but its own: where that is, only the browser knows. */
const thePage = Effect.gen(function* () {
  const policy = [
    "default-src 'none'",
    `script-src ${yield* sha256(script)}`,
    `style-src ${yield* sha256(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
    "require-trusted-types-for 'script'"
  ].join("; ")
  return HttpServerResponse.text(page, {
    contentType: "text/html; charset=utf-8",
    headers: { ...headers, "content-security-policy": policy }
  })
})

// The stream

const eventStream = (
  pool: WebSocketPool,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(Stream.encodeText(watch(pool, request)), {
    contentType: "text/event-stream",
    // A proxy must pass on what it gets; a connection kept alive would hold the server's shutdown up for seconds.
    headers: { ...headers, connection: "close", "x-accel-buffering": "no" }
  })

/**
 * A message now and every half second, to the end of the pool, of the client or of the server. Each is made when it
 * is asked for: a client that does not read costs one digest.
 */
const watch = (pool: WebSocketPool, request: HttpServerRequest.HttpServerRequest): Stream.Stream<string> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const digest = new Digest()
      const clock = yield* Effect.clock
      const now = () => clock.unsafeCurrentTimeMillis()
      yield* pool.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => digest.add(event, now()))),
        Effect.forkScoped
      )
      const sample = Effect.map(pool.stats, (stats) => takeSample(pool, now(), stats, digest))
      return Stream.unfoldEffect<"first" | "next" | "end", string, never, never>("first", (turn) => {
        if (turn === "end") return Effect.succeedNone
        return Effect.map(turn === "first" ? sample : Effect.delay(sample, interval), (sample) => {
          const isClosed = sample.stats.state === "closed"
          const retry = isClosed ? retryClosedMillis : retryMillis
          const message = `retry: ${retry}\ndata: ${JSON.stringify(sample)}\n\n`
          return Option.some([message, isClosed || isShuttingDown(request) ? "end" : "next"])
        })
      })
    })
  )

const takeSample = (pool: WebSocketPool, now: number, stats: PoolStats, digest: Digest): Sample => {
  const inspection = inspect(pool)
  const connections = inspection?.connections
  return {
    now,
    pool: inspection?.name ?? null,
    stats,
    connections: connections?.slice(0, connectionsListed) ?? null,
    connectionsLeftOut: Math.max(0, (connections?.length ?? 0) - connectionsListed),
    ...digest.take()
  }
}

/**
 * A Node.js server that was told to close waits for the end of every response, and tells nobody. It shows in the
 * server that the request's socket came from.
 */
const isShuttingDown = ({ source }: HttpServerRequest.HttpServerRequest): boolean =>
  Predicate.hasProperty(source, "socket") &&
  Predicate.hasProperty(source.socket, "server") &&
  Predicate.hasProperty(source.socket.server, "listening") &&
  source.socket.server.listening === false
