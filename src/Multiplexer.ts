/**
 * Many requests at once over few connections, for protocols that number their requests.
 *
 * @since 3.0.0
 */
import type * as Config from "#effect/Config"
import type * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type * as Types from "#effect/Types"
import type { Multiplexer, Options } from "./requests/api.js"
import * as internal from "./requests/multiplexer.js"
import type { WebSocketPool } from "./WebSocketPool.js"

export type {
  Codec,
  Multiplexer,
  MultiplexerStats,
  Options,
  Overflow,
  RequestError,
  StreamOptions
} from "./requests/api.js"
export { Incoming } from "./requests/incoming.js"

/**
 * Makes a multiplexer over the pool in the context.
 *
 * **Details** It fills a connection to `targetUtilization` of `concurrency` before it leases another. Closing its scope fails
 * new requests with `PoolClosedError`, and gives those under way the pool's `shutdownTimeout`.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @example
 * ```ts
 * import { Effect, Exit, Layer } from "effect"
 * import { Multiplexer, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
 *
 * // Questions such as "1 2+3", answers such as "1 5".
 * const codec = (): Multiplexer.Codec<string, number> => ({
 *   encode: (id, sum) => `${id} ${sum}`,
 *   decode: (message) => {
 *     const [id, value] = String(message).split(" ").map(Number)
 *     return [Multiplexer.Incoming.End({ id: Number(id), exit: Exit.succeed(Number(value)) })]
 *   }
 * })
 *
 * const program = Effect.gen(function* () {
 *   const calculator = yield* Multiplexer.make({ codec })
 *   const sums = yield* Effect.all([calculator.request("2+3"), calculator.request("4+5")], { concurrency: 2 })
 *   console.log(sums.join(" and ")) // 5 and 9
 *   console.log((yield* calculator.stats).connections) // 1
 * }).pipe(Effect.scoped)
 *
 * const server = WebSocketTransport.layerMemory((peer) =>
 *   Effect.forever(
 *     Effect.flatMap(peer.receive, (message) => {
 *       const [id, a, b] = String(message).split(/[ +]/)
 *       return peer.send(`${id} ${Number(a) + Number(b)}`)
 *     })
 *   )
 * )
 *
 * const Live = WebSocketPool.layer({ url: "ws://calculator" }).pipe(Layer.provide(server))
 * Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category constructors
 * @since 3.0.0
 */
export const make: <Request, Item, E = never, R = never, Pool = WebSocketPool>(
  options: Options<Request, Item, E, R, Pool>
) => Effect.Effect<Multiplexer<Request, Item, E>, Config.ConfigError, Types.NoInfer<Pool | R> | Scope.Scope> =
  internal.make
