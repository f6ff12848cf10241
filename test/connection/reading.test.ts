import { afterwards, interrupt, isInterruptible, withFiber } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import { assert, describe, it } from "#support/vitest"
import type { Holder } from "../../src/connection/holder.js"
import { Reading } from "../../src/connection/reading.js"
import type { ConnectionError } from "../../src/values/errors.js"
import type { Message } from "../../src/values/message.js"
import { settle } from "../support/wire.js"

/** A connection under a lease, in the middle of which a fiber waits for a message. */
const waiting = Effect.gen(function* () {
  const lease: Holder = { since: 0, span: undefined, kept: undefined }
  const dropped: Array<number> = []
  const source = {
    id: "a",
    lease: lease as Holder | undefined,
    closedError: undefined,
    receiveBuffer: 1_000,
    onAwaited: () => {},
    onDropped: (bytes: number) => {
      dropped.push(bytes)
    },
    pause: () => {},
    resume: () => {}
  }
  const reading = new Reading(source)
  const received: Array<Message> = []
  const take = Effect.sync(() => reading.takeFor(lease))
  const receive: Effect.Effect<Message, ConnectionError> = withFiber((fiber, status) =>
    reading.receive(lease, fiber, isInterruptible(fiber, status), receive, take)
  )
  const fiber = yield* Effect.forkChild(Effect.map(receive, (message) => received.push(message)))
  yield* settle
  /** A message comes, and in the same turn the lease ends. */
  const arriveAndEnd = (): void => {
    reading.arrive("m", 1)
    reading.wake()
    reading.keepFor(lease)
    source.lease = undefined
    reading.drop()
  }
  return { arriveAndEnd, dropped, fiber, received }
})

describe("a message that comes right before the end of the lease", () => {
  it.effect("is still given to who has waited for it", () =>
    Effect.gen(function* () {
      const { arriveAndEnd, dropped, fiber, received } = yield* waiting
      arriveAndEnd()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual([received, dropped], [["m"], []])
    })
  )

  it.effect("is dropped, and counted, if that one is interrupted before it goes on", () =>
    Effect.gen(function* () {
      const { arriveAndEnd, dropped, fiber, received } = yield* waiting
      arriveAndEnd()
      interrupt(fiber)
      yield* Effect.exit(Fiber.join(fiber))
      // Where a fiber goes on at once it has the message already.
      assert.strictEqual(received.length + dropped.length, 1)
    })
  )

  it.effect("is dropped, and counted, if that one was interrupted before", () =>
    Effect.gen(function* () {
      const { arriveAndEnd, dropped, fiber, received } = yield* waiting
      interrupt(fiber)
      afterwards(arriveAndEnd)
      yield* Effect.exit(Fiber.join(fiber))
      yield* settle
      assert.deepStrictEqual([received, dropped], [[], [1]])
    })
  )
})
