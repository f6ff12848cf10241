import { JsonRpc, Multiplexer, type PoolError, WebSocketPool } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import { describe, expectTypeOf, it } from "#support/vitest"
import { cancelling } from "./support.js"

class Log {
  readonly _tag = "Log"
}

class Speech extends WebSocketPool.Tag("Speech")<Speech>() {}

type Lines = Multiplexer.Multiplexer<string, string, string>
type RequestError = PoolError.AcquireError | PoolError.ConnectionClosedError | Schema.SchemaError

describe("Multiplexer", () => {
  it("has the types that the contract names", () => {
    expectTypeOf<Multiplexer.RequestError>().toEqualTypeOf<RequestError>()
    expectTypeOf<ReturnType<Lines["request"]>>().toEqualTypeOf<Effect.Effect<string, string | RequestError>>()
    expectTypeOf<ReturnType<Lines["stream"]>>().toEqualTypeOf<
      Stream.Stream<string, string | RequestError | PoolError.LaggedError>
    >()
    expectTypeOf<Lines["pinned"]>().toEqualTypeOf<Effect.Effect<Lines, PoolError.AcquireError, Scope.Scope>>()
    expectTypeOf<Lines["stats"]>().toEqualTypeOf<Effect.Effect<Multiplexer.MultiplexerStats>>()
  })

  it("LaggedError is none of PoolError's union", () => {
    expectTypeOf<Extract<PoolError.PoolError, { readonly _tag: "LaggedError" }>>().toEqualTypeOf<never>()
  })

  it("make requires the pool of its tag, and what onNotice requires", () => {
    expectTypeOf(Multiplexer.make({ codec: cancelling })).toEqualTypeOf<
      Effect.Effect<Lines, Config.ConfigError, WebSocketPool.WebSocketPool | Scope.Scope>
    >()
    const log = (_: unknown): Effect.Effect<void, "no", Log> => Effect.die("never run")
    expectTypeOf(Multiplexer.make({ codec: cancelling, pool: Speech, onNotice: log })).toEqualTypeOf<
      Effect.Effect<Lines, Config.ConfigError, Speech | Scope.Scope | Log>
    >()
  })
})

// A group written in place gives the compiler a type to infer from; one that is a constant first does not.
class Chain extends JsonRpc.Tag("Chain")<Chain>()({
  balance: JsonRpc.method("balance", { params: Schema.Array(Schema.String), result: Schema.String }),
  id: JsonRpc.method("id"),
  strict: JsonRpc.method("strict", { error: Schema.Struct({ hint: Schema.String }) }),
  hello: JsonRpc.notification("hello"),
  heads: JsonRpc.subscription({
    subscribe: "subscribe",
    unsubscribe: "unsubscribe",
    notification: "head",
    item: Schema.Struct({ number: Schema.Number })
  }),
  news: JsonRpc.incoming("news"),
  alerts: JsonRpc.incoming("alerts", { params: Schema.String })
}) {}

describe("a JsonRpc group written in place", () => {
  type Failure<D = unknown> = JsonRpc.JsonRpcError<D> | RequestError

  it("requires nothing but its client", () => {
    expectTypeOf(Chain.balance).toEqualTypeOf<
      (params: ReadonlyArray<string>) => Effect.Effect<string, Failure, Chain>
    >()
    expectTypeOf(Chain.strict).returns.toEqualTypeOf<
      Effect.Effect<unknown, Failure<{ readonly hint: string }>, Chain>
    >()
    expectTypeOf(Chain.alerts).toEqualTypeOf<Stream.Stream<string, Schema.SchemaError | PoolError.LaggedError, Chain>>()
    expectTypeOf(Chain.news).toEqualTypeOf<Stream.Stream<unknown, Schema.SchemaError | PoolError.LaggedError, Chain>>()
  })

  it("takes no params where there is no schema of them", () => {
    expectTypeOf(Chain.id()).toEqualTypeOf<Effect.Effect<unknown, Failure, Chain>>()
    expectTypeOf(Chain.hello()).toEqualTypeOf<Effect.Effect<void, RequestError, Chain>>()
    expectTypeOf(Chain.heads()).toEqualTypeOf<
      Stream.Stream<{ readonly number: number }, Failure | PoolError.LaggedError, Chain>
    >()
  })

  it("is the same without a tag", () => {
    const client = JsonRpc.make({ id: JsonRpc.method("id", { result: Schema.Number }) })
    expectTypeOf(Effect.flatMap(client, ({ id }) => id())).toEqualTypeOf<
      Effect.Effect<number, Config.ConfigError | Failure, WebSocketPool.WebSocketPool | Scope.Scope>
    >()
  })
})
