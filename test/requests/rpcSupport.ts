import { JsonRpc, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import { assert } from "#support/vitest"
import { answerCloses, type HandSocket, makeTransport } from "../support/handTransport.js"
import { url } from "../support/memoryPool.js"

export const members = {
  call: JsonRpc.method("call"),
  heads: JsonRpc.subscription({ subscribe: "sub", unsubscribe: "unsub", notification: "note", item: Schema.Number })
}

export type Api = JsonRpc.Client<typeof members>

export const json = (fields: object): string => JSON.stringify({ jsonrpc: "2.0", ...fields })

/** The server calls. */
export const asks = (id: string, method = "ask", params?: unknown): string => json({ id, method, params })

/** What was sent on a connection, without its version. */
export const said = (socket: HandSocket | undefined): ReadonlyArray<unknown> =>
  (socket?.sent ?? []).map((message) => {
    const { jsonrpc, ...rest } = JSON.parse(String(message))
    assert.strictEqual(jsonrpc, "2.0")
    return rest
  })

/** A client whose server is played by the test. */
export const rpc = <A, E, RHandlers = never>(
  options: JsonRpc.Options<never, RHandlers>,
  poolOptions: Partial<WebSocketPool.Options>,
  f: (
    api: Api,
    sockets: ReadonlyArray<HandSocket>,
    pool: WebSocketPool.WebSocketPool
  ) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, unknown, Exclude<RHandlers, Scope.Scope | WebSocketPool.WebSocketPool>> => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses })
  return Effect.gen(function* () {
    const pool = yield* WebSocketPool.WebSocketPool
    return yield* f(yield* JsonRpc.make(members, options), sockets, pool)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      WebSocketPool.layer({
        url,
        name: "main",
        pingInterval: "1 hour",
        validateAfterIdle: "1 hour",
        ...poolOptions
      }).pipe(Layer.provide(layer))
    )
  ) as Effect.Effect<A, unknown, Exclude<RHandlers, Scope.Scope | WebSocketPool.WebSocketPool>>
}
