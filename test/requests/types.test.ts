import { Multiplexer, type PoolError, WebSocketPool } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import type * as Schema from "#effect/Schema"
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
