import { WebSocketPool } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError } from "#support/configErrors"
import { assert } from "#support/vitest"
import { expectTag, notYet, now, poolWith } from "../support/memoryPool.js"

/** What a layer fails with. */
export const errorOf = <A>(layer: Layer.Layer<A, Config.ConfigError>) =>
  Effect.tap(Effect.flip(Effect.scoped(Layer.build(layer))), (error) =>
    Effect.sync(() => assert.isTrue(isConfigError(error)))
  )

/** The same for options as they may come from where there are no types. */
export const errorWith = (options: Readonly<Record<string, unknown>>) =>
  errorOf(poolWith(options as Partial<WebSocketPool.Options>))

export const deadlineOfGet = (acquireTimeout: Duration.Input, millis: number) =>
  Effect.gen(function* () {
    yield* WebSocketPool.get
    const waiter = yield* Effect.forkChild(Effect.flip(Effect.scoped(WebSocketPool.get)))
    yield* TestClock.adjust(millis - 1)
    notYet(waiter)
    yield* TestClock.adjust(1)
    expectTag(yield* now(waiter), "PoolExhaustedError")
  }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, acquireTimeout })))
