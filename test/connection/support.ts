import { PoolError } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import { assert } from "#support/vitest"
import { isRunning } from "../support/wire.js"

export const closed = (error: PoolError.PoolError | undefined) => {
  assert.instanceOf(error, PoolError.ConnectionClosedError)
  const { code, initiator, reason } = error
  return { code, initiator, reason }
}

export const busy = (error: PoolError.PoolError | undefined) => {
  assert.instanceOf(error, PoolError.ConnectionBusyError)
  return error.reason
}

/** What a fiber that has ended failed with. */
export const failure = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<E, A> =>
  Effect.suspend(() => {
    assert.isFalse(isRunning(fiber), "it has not ended")
    return Effect.flip(Fiber.join(fiber))
  })

/** Sends one after the other, whether or not the client reads. */
export const sendAll = (
  peer: { readonly send: (message: string) => Effect.Effect<void, unknown> },
  messages: Array<string>
) => Effect.forEach(messages, (message) => peer.send(message), { discard: true })
