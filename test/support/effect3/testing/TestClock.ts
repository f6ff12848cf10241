import * as Effect from "effect/Effect"
import { TestContext } from "effect/TestContext"

export * from "effect/TestClock"

/** Runs an effect on a clock of its own. */
export const driven = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(effect, TestContext)
