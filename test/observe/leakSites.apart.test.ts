import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { poolWith } from "../support/memoryPool.js"

/** How often a stack is taken, which is what sets its depth. */
const stacksTaken = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let taken = 0
    const { stackTraceLimit } = Error
    const property = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")
    Object.defineProperty(Error, "stackTraceLimit", {
      configurable: true,
      get: () => stackTraceLimit,
      set: (limit: number) => {
        if (limit === 6) taken += 1
      }
    })
    const restore = Effect.sync(() => Object.defineProperty(Error, "stackTraceLimit", property ?? {}))
    return Effect.ensuring(
      Effect.map(effect, () => taken),
      restore
    )
  })

const leases = Effect.gen(function* () {
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* WebSocketPool.get
      yield* WebSocketPool.getNew
    })
  )
  yield* WebSocketPool.use(() => Effect.void)
  yield* WebSocketPool.useNew(() => Effect.void)
})

// In this order: from the first pool on that looks for leaks there is no way back.

describe("the stack is taken", () => {
  it.effect("by no accessor while no pool looks for leaks", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* stacksTaken(leases), 0)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("once for each lease when one does", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* stacksTaken(leases), 4)
    }).pipe(Effect.provide(poolWith({ leakThreshold: "1 minute" })))
  )
})
