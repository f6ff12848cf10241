/**
 * A live web page of one pool or several, for any HTTP server of `@effect/platform`.
 *
 * It is an entry of its own, so that nobody loads or bundles it who does not mount it.
 *
 * @since 0.2.0
 */
import type * as HttpRouter from "@effect/platform/HttpRouter"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Recording } from "./monitor/api.js"
import * as recording from "./monitor/recording.js"
import * as internal from "./monitor/router.js"
import type { WebSocketPool } from "./WebSocketPool.js"

export { type Recording, TypeId } from "./monitor/api.js"

/**
 * Records pools until the scope closes, so that a page opened during an incident shows how it began.
 *
 * **Details** It keeps the last ten minutes: the counts of `stats` and the percentiles of times once a second, and all
 * events but those of the routine of leases, drains and dropped messages, with repeated ones counted. It takes at most 1 MiB
 * a pool, and adds about 1 % to the cost of a lease.
 *
 * **Gotchas** Once the scope is closed, the recording is as a pool without one: it goes on only while a page is open.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
 *
 * const MonitorLive = Layer.unwrapScoped(
 *   Effect.gen(function* () {
 *     const pool = yield* WebSocketPool.WebSocketPool
 *     const recording = yield* WebSocketPoolMonitor.record(pool)
 *     const router = HttpRouter.mount(HttpRouter.empty, "/pool", WebSocketPoolMonitor.router(recording))
 *     return HttpServer.serve(router)
 *   })
 * )
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const record: (
  pools: WebSocketPool | ReadonlyArray<WebSocketPool>
) => Effect.Effect<Recording, never, Scope.Scope> = recording.record

/**
 * Serves a page that shows pools at work: connections by state, waiters and latencies over two or ten minutes, the latest
 * events, each connection's age and traffic, and the options in force.
 *
 * **Details** The page is at `/` of the router, its stream of server-sent events at `/events`, and the state of every pool
 * as JSON at `/state.json`. It needs no other asset, under whatever path the router is mounted, and answers `GET` and
 * `HEAD` only. Of several pools it shows the one chosen on the page; pools of one name are numbered. Given a `Recording`,
 * it shows the last ten minutes. Otherwise history begins with the first page, and nothing is observed while none is open.
 * When a pool is closed, the page says so.
 *
 * **Gotchas** It has no authentication of its own: mount it behind yours. It shows names of pools, connection ids, options
 * that are numbers, and what errors say of themselves; header values and the user info and query strings of URLs are in none
 * of these.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
 *
 * const MonitorLive = Layer.unwrapEffect(
 *   Effect.map(WebSocketPool.WebSocketPool, (pool) =>
 *     HttpRouter.empty.pipe(HttpRouter.mount("/pool", WebSocketPoolMonitor.router(pool)), HttpServer.serve())
 *   )
 * )
 * ```
 *
 * @category routers
 * @since 0.2.0
 */
export const router: (pools: WebSocketPool | ReadonlyArray<WebSocketPool> | Recording) => HttpRouter.HttpRouter = (
  pools
) => internal.make(recording.recorderFor(pools))
