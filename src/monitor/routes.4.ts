import * as HttpRouter from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import type { WebSocketPool } from "../pool/api.js"
import type { Recording } from "./api.js"
import { recorderFor } from "./recording.js"
import { handlers } from "./router.js"

/**
 * Serves a page that shows pools at work: what is wrong now, the leases that are out, connections by state, waiters and
 * latencies over two or ten minutes, the latest events, each connection's age and traffic, and the options in force.
 *
 * **Details** The page is at `prefix`, its stream of server-sent events at `/events` below it, and the state of every pool
 * as JSON at `/state.json`. It needs no other asset, whatever that is, and answers `GET` and
 * `HEAD` only. Of several pools it shows the one chosen on the page; pools of one name are numbered. Given a `Recording`,
 * it shows the last ten minutes. Otherwise history begins with the first page, and nothing is observed while none is open.
 * When a pool is closed, the page says so.
 *
 * **Gotchas** It has no authentication of its own: mount it behind yours. It shows names of pools and of spans, connection
 * ids, options that are numbers, and what errors say of themselves; header values and the user info and query strings of URLs
 * are in none of these.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
 *
 * const MonitorLive = Layer.unwrap(
 *   Effect.map(WebSocketPool.WebSocketPool, (pool) =>
 *     HttpRouter.serve(WebSocketPoolMonitor.router(pool, { prefix: "/pool" }))
 *   )
 * )
 * ```
 *
 * @category routers
 * @since 3.0.0
 */
export const router = (
  pools: WebSocketPool | ReadonlyArray<WebSocketPool> | Recording,
  options?: {
    /** The path below which it is. Default: `/`. */
    readonly prefix?: `/${string}` | undefined
  }
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.addAll(
    handlers(recorderFor(pools)).map(([path, handler]) => HttpRouter.route("*", path, handler)),
    options
  )
