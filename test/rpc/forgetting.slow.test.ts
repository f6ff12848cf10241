/** What a client keeps of calls that are over: nothing. Its own books cannot be seen from outside, but collected memory can. */
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { leftOf } from "../support/garbage.js"
import { settle } from "../support/memoryPool.js"
import { type Client, oneConnection, scenario, start } from "./support.js"

interface Keepsake {
  readonly ballast: Uint8Array
}
const Keepsake: Context.Service<Keepsake, Keepsake> = Context.Service<Keepsake>("test/Keepsake")

const calls = 20

/** Makes many calls, each with something in its context that nobody else has, and gives what is left of that. */
const leftOfCalls = (call: (client: Client) => Effect.Effect<unknown, unknown>, giveUp: boolean) =>
  scenario({ options: oneConnection() }, ({ client, server }) =>
    Effect.gen(function* () {
      const kept: Array<WeakRef<Keepsake>> = []
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let n = 0; n < calls; n++) {
        const own: Keepsake = { ballast: new Uint8Array(16) }
        kept.push(new WeakRef(own))
        fibers.push(yield* start(Effect.provideService(Effect.exit(call(client)), Keepsake, own)))
      }
      assert.strictEqual(server(0).sent.length, calls)
      if (giveUp) for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      else server(0).socket.lose()
      yield* settle
      for (const fiber of fibers) yield* Fiber.await(fiber)
      fibers.length = 0
      return yield* leftOf(kept, 1)
    })
  )

describe("R2 a client forgets", () => {
  for (const [how, giveUp] of [
    ["whose connection was lost", false],
    ["that were interrupted", true]
  ] as const) {
    it.effect(`calls ${how}`, () =>
      Effect.map(
        leftOfCalls((client) => client.Double({ value: 1 }), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )

    it.effect(`streams ${how}`, () =>
      Effect.map(
        leftOfCalls((client) => Stream.runDrain(client.Count({ to: 1 })), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )

    it.effect(`discarded calls ${how}`, () =>
      Effect.map(
        leftOfCalls((client) => client.Double({ value: 1 }, { discard: true }), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )
  }
})
