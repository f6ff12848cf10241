/** A web application, and its answers without a server. For Effect 3. */
import { createServer } from "node:http"
import {
  HttpApp,
  HttpRouter,
  HttpServer,
  type HttpServerError,
  HttpServerRequest,
  type HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"

export type Web = HttpRouter.HttpRouter<HttpServerError.RouteNotFound>

/** Below a path. */
export const mounted = (path: `/${string}`, web: Web): Web => HttpRouter.mount(HttpRouter.empty, path, web)

export const together = (...webs: ReadonlyArray<Web>): Web =>
  webs.reduce((all, web) => HttpRouter.concat(all, web), HttpRouter.empty as Web)

export const respond = (
  web: Web,
  path: string,
  method = "GET"
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> =>
  Effect.scoped(
    Effect.provideService(
      web,
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(new Request(`http://app.test${path}`, { method }))
    )
  )

/** The answer as a browser gets it, a path that is not there included. */
export const fetchFrom = (web: Web, path: string, method = "GET"): Effect.Effect<Response> =>
  Effect.promise((signal) => HttpApp.toWebHandler(web)(new Request(`http://app.test${path}`, { method, signal })))

/** What makes a monitor. */
export type MonitorOf<Pools> = (pools: Pools) => HttpRouter.HttpRouter

/** How a monitor can be mounted, and where the page is then. */
export const mountings: ReadonlyArray<
  readonly [how: string, mount: (pool: WebSocketPool.WebSocketPool) => Web, paths: ReadonlyArray<string>]
> = [
  ["as the whole app", (pool) => WebSocketPoolMonitor.router(pool), ["/"]],
  ["under a path", (pool) => mounted("/pool", WebSocketPoolMonitor.router(pool)), ["/pool", "/pool/"]],
  [
    "as an app",
    (pool) => HttpRouter.mountApp(HttpRouter.empty, "/pool", WebSocketPoolMonitor.router(pool)),
    ["/pool", "/pool/"]
  ],
  [
    "under a path of a router under a path",
    (pool) => HttpRouter.prefixAll(mounted("/b", WebSocketPoolMonitor.router(pool)), "/a"),
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
    const router = mounted(path, WebSocketPoolMonitor.router(pools))
    yield* Effect.provideService(HttpServer.serveEffect(router), HttpServer.HttpServer, server)
    const { address } = server
    return address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}${path}` : address.path
  })
