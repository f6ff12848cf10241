/**
 * Effect RPC over the connections of a pool: a protocol for `RpcClient`.
 *
 * It stands on `@effect/rpc` with Effect 3, which has to be installed, and on `effect/rpc` with Effect 4. The main entry
 * loads neither, so this module has an entry of its own.
 *
 * @since 3.0.0
 */
import type { Service } from "#edition/rpc/protocol"
import type * as Config from "#effect/Config"
import type * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import type * as RpcClient from "#effect/rpc/RpcClient"
import type { RpcSerialization } from "#effect/rpc/RpcSerialization"
import type * as Scope from "#effect/Scope"
import type * as Types from "#effect/Types"
import type { Options } from "./rpc/api.js"
import * as internal from "./rpc/make.js"
import type { WebSocketPool } from "./WebSocketPool.js"

export type { Options } from "./rpc/api.js"

/**
 * Makes the protocol over the pool in the context: see `layerProtocol`.
 *
 * **Details** Closing its scope fails new calls, and gives those under way the pool's `shutdownTimeout`.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @category constructors
 * @since 3.0.0
 */
export const makeProtocol: <Pool = WebSocketPool>(
  options?: Options<Pool>
) => Effect.Effect<Service, Config.ConfigError, Types.NoInfer<Pool> | RpcSerialization | Scope.Scope> = internal.make

/**
 * A protocol for `RpcClient` whose calls spread over the connections of the pool in the context.
 *
 * **Details** Each call goes over one connection, with all that follows it. A connection is filled to `targetUtilization`
 * of `concurrency` before another is leased, so calls reach as many processes behind one address as there are connections.
 * A call waits for a place as `get` waits for a connection. A slow stream holds back neither calls nor other streams: its
 * server waits until it was read. An interrupted call, or a stream that ends early, interrupts its handler. Connections that
 * retire (`refresh`, `connectionTTL`) end no call that takes less than `retireTimeout`. There are no Ping messages: the pool
 * sees to it that connections live.
 *
 * **Errors** The layer: `ConfigError` names every bad option. Calls and streams: besides those of their schemas
 * `RpcClientError`, whose `cause` is what `Multiplexer.request` fails with. A `ConnectionClosedError` in it says that the
 * server may or may not have handled the call, so retry what is idempotent only.
 *
 * **Gotchas** Unless it was given `disableFatalDefects`, a server sends a defect of a handler without saying whose it is. The
 * call that met it dies when all others on its connection are answered, at the latest after `retireTimeout`, along with
 * those that are not. With Effect 3 a call with `discard: true` returns when its handler has ended.
 *
 * @category layers
 * @since 3.0.0
 */
export const layerProtocol: <Pool = WebSocketPool>(
  options?: Options<Pool>
) => Layer.Layer<RpcClient.Protocol, Config.ConfigError, Types.NoInfer<Pool> | RpcSerialization> = internal.layer
