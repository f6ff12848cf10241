/**
 * A live web page of one pool or several, for any HTTP server of `@effect/platform`.
 *
 * It is an entry of its own, so that nobody loads or bundles it who does not mount it.
 *
 * @since 3.0.0
 */

import type * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type { Recording } from "./monitor/api.js"
import * as recording from "./monitor/recording.js"
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
 * **Effect 4**
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
 *
 * const MonitorLive = Layer.unwrap(
 *   Effect.gen(function* () {
 *     const pool = yield* WebSocketPool.WebSocketPool
 *     const recording = yield* WebSocketPoolMonitor.record(pool)
 *     return HttpRouter.serve(WebSocketPoolMonitor.router(recording, { prefix: "/pool" }))
 *   })
 * )
 * ```
 *
 * **Effect 3**
 *
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
 * @since 3.0.0
 */
export const record: (
  pools: WebSocketPool | ReadonlyArray<WebSocketPool>
) => Effect.Effect<Recording, never, Scope.Scope> = recording.record

export { router } from "#edition/monitor/routes"
