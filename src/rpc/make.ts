import { environment } from "#dialect"
import { failuresOf, parserOf, type Service, serviceOf } from "#edition/rpc/protocol"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as RpcClient from "#effect/rpc/RpcClient"
import type { RequestEncoded } from "#effect/rpc/RpcMessage"
import { type Parser, RpcSerialization } from "#effect/rpc/RpcSerialization"
import type * as Scope from "#effect/Scope"
import type * as Types from "#effect/Types"
import type { WebSocketPool } from "../pool/api.js"
import { makeWide } from "../requests/multiplexer.js"
import type { Options } from "./api.js"
import { type Refusal, type Reply, RpcCodec } from "./codec.js"
import { Exchange } from "./exchange.js"

/** What reads each connection, whoever leases it: what servers have named there they do not name again. */
const readers = new WeakMap<object, WeakMap<object, Parser>>()

const readerOf = (serialization: object, connection: object, make: () => Parser): Parser => {
  const own = readers.get(serialization) ?? new WeakMap<object, Parser>()
  readers.set(serialization, own)
  const reader = own.get(connection) ?? make()
  own.set(connection, reader)
  return reader
}

/** What a multiplexer may be told, and a protocol may not: streams wait for room, and no notices are expected. */
const without = ["bufferSize", "overflow", "onNotice"]

export const make = <Pool = WebSocketPool>(
  options: Options<Pool> = {}
): Effect.Effect<Service, Config.ConfigError, Types.NoInfer<Pool> | RpcSerialization | Scope.Scope> =>
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization
    const { fork } = yield* environment<never>({ isQuiet: true, isInterruptible: true })
    const makeParser = () => parserOf(serialization)
    const calls = yield* makeWide<RequestEncoded, Reply, Refusal, never, Pool>({
      options,
      codec: (connection) => new RpcCodec(makeParser, readerOf(serialization, connection, makeParser)),
      who: "WebSocketPoolRpc",
      own: [],
      without
    })
    return serviceOf(new Exchange(calls, failuresOf(serialization), fork), serialization)
  })

export const layer = <Pool = WebSocketPool>(
  options?: Options<Pool>
): Layer.Layer<RpcClient.Protocol, Config.ConfigError, Types.NoInfer<Pool> | RpcSerialization> =>
  Layer.effect(RpcClient.Protocol, make(options))
