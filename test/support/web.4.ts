/** A web application, and its answers without a server. For Effect 4. */

import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"

export type Web = Layer.Layer<never, never, HttpRouter.HttpRouter>

/** Below a path. */
export const mounted = (path: `/${string}`, web: Web): Web =>
  Layer.provide(
    Layer.fresh(web),
    Layer.effect(
      HttpRouter.HttpRouter,
      Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(path))
    )
  )

export const together = (...webs: ReadonlyArray<Web>): Web =>
  webs.reduce((all, web) => Layer.merge(all, web), Layer.empty as Web)

export const respond = (
  web: Web,
  path: string,
  method = "GET"
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> =>
  Effect.scoped(
    Effect.flatMap(HttpRouter.toHttpEffect(web), (answer) =>
      Effect.provideService(
        answer,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request(`http://app.test${path}`, { method }))
      )
    )
  )

/** The answer as a browser gets it, a path that is not there included. */
export const fetchFrom = (web: Web, path: string, method = "GET"): Effect.Effect<Response> =>
  Effect.promise((signal) =>
    HttpRouter.toWebHandler(web, { disableLogger: true }).handler(
      new Request(`http://app.test${path}`, { method, signal })
    )
  )

/** What makes a monitor. */
export type MonitorOf<Pools> = (pools: Pools, options?: { readonly prefix?: `/${string}` | undefined }) => Web

/** How a monitor can be mounted, and where the page is then. */
export const mountings: ReadonlyArray<
  readonly [how: string, mount: (pool: WebSocketPool.WebSocketPool) => Web, paths: ReadonlyArray<string>]
> = [
  ["as the whole app", (pool) => WebSocketPoolMonitor.router(pool), ["/"]],
  ["with a prefix", (pool) => WebSocketPoolMonitor.router(pool, { prefix: "/pool" }), ["/pool", "/pool/"]],
  ["under a path", (pool) => mounted("/pool", WebSocketPoolMonitor.router(pool)), ["/pool", "/pool/"]],
  [
    "with a prefix under a path",
    (pool) => mounted("/a", WebSocketPoolMonitor.router(pool, { prefix: "/b" })),
    ["/a/b", "/a/b/", "/a/b?of=mine"]
  ]
]

/** Serves a monitor on a port of its own until the scope closes, and gives its address. */
export const serveMonitor = (
  pools: Parameters<typeof WebSocketPoolMonitor.router>[0],
  port = 0,
  path: `/${string}` = "/pool"
): Effect.Effect<string, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* NodeHttpServer.make(createServer, { host: "127.0.0.1", port })
    const web = HttpRouter.serve(WebSocketPoolMonitor.router(pools, { prefix: path }), {
      disableListenLog: true,
      disableLogger: true
    })
    yield* Layer.build(Layer.provide(web, Layer.succeed(HttpServer.HttpServer, server)))
    const { address } = server
    return "port" in address ? `http://127.0.0.1:${address.port}${path}` : String(address)
  })
