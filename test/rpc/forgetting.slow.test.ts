/** What a client keeps of calls that are over: nothing. Its own books cannot be seen from outside, but collected memory can. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { settle } from "../support/memoryPool.js"
import { type Client, oneConnection, scenario, start } from "./support.js"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

interface Keepsake {
  readonly ballast: Uint8Array
}
const Keepsake: Context.Service<Keepsake, Keepsake> = Context.Service<Keepsake>("test/Keepsake")

const calls = 20

/** Makes many calls, each with something in its context that nobody else has, and gives what is left of that. */
const leftOf = (call: (client: Client) => Effect.Effect<unknown, unknown>, giveUp: boolean) =>
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
      const left = () => kept.filter((ref) => ref.deref() !== undefined).length
      // A reference lives as long as the turn in which it was looked at.
      for (let turn = 0; turn < 50 && left() > 1; turn++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        collectGarbage()
      }
      return left()
    })
  )

describe("R2 a client forgets", () => {
  for (const [how, giveUp] of [
    ["whose connection was lost", false],
    ["that were interrupted", true]
  ] as const) {
    it.effect(`calls ${how}`, () =>
      Effect.map(
        leftOf((client) => client.Double({ value: 1 }), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )

    it.effect(`streams ${how}`, () =>
      Effect.map(
        leftOf((client) => Stream.runDrain(client.Count({ to: 1 })), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )

    it.effect(`discarded calls ${how}`, () =>
      Effect.map(
        leftOf((client) => client.Double({ value: 1 }, { discard: true }), giveUp),
        (left) => assert.isAtMost(left, 1)
      )
    )
  }
})
