import type { PoolEvent } from "effect-websocket-pool/PoolEvent"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import { poll, repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { EventHub } from "../../src/observe/eventHub.js"
import { atStep, Steps } from "../support/steps.js"

const dropped: PoolEvent = { _tag: "MessageDropped", pool: "pool", connectionId: "pool-1", bytes: 1 }
const closing: PoolEvent = { _tag: "PoolClosing", pool: "pool" }
const closed: PoolEvent = { _tag: "PoolClosed", pool: "pool" }

const settle = repeated(Effect.yieldNow, 50)

const listening = Effect.gen(function* () {
  const deferred: Array<() => void> = []
  const hub = new EventHub((f) => deferred.push(f))
  const heard: Array<string> = []
  const listener = yield* Effect.forkChild(
    Stream.runForEach(hub.stream, ({ _tag }) => Effect.sync(() => heard.push(_tag)))
  )
  yield* settle
  return { deferred, heard, hub, listener }
})

describe("EventHub", () => {
  it.effect("tells what happens all the time once per turn", () =>
    Effect.gen(function* () {
      const { deferred, heard, hub } = yield* listening
      hub.emit(dropped)
      hub.emit(dropped)
      yield* settle
      assert.deepStrictEqual(heard, [])
      assert.strictEqual(deferred.length, 1)
      deferred[0]!()
      yield* settle
      assert.deepStrictEqual(heard, ["MessageDropped", "MessageDropped"])
    })
  )

  it.effect("goes on when the turn ends after all has been heard", () =>
    Effect.gen(function* () {
      // The listener was woken with nothing to take, and its stream died.
      const { deferred, heard, hub, listener } = yield* listening
      hub.emit(dropped)
      hub.emit(closing)
      yield* settle
      assert.deepStrictEqual(heard, ["MessageDropped", "PoolClosing"])
      deferred[0]!()
      yield* settle
      assert.isUndefined(poll(listener))
      hub.emit(closed)
      yield* Fiber.join(listener)
      assert.deepStrictEqual(heard, ["MessageDropped", "PoolClosing", "PoolClosed"])
    })
  )

  it("tells what happens between a look and a wait for more, where the scheduler lets others go first", () => {
    for (let step = 0; step < 300; step++) {
      const hub = new EventHub((f) => f())
      const steps = new Steps(atStep(step))
      const listener = steps.fork(Stream.runHead(hub.stream))
      for (let turn = 0; turn < 20 && !hub.isFollowed; turn++) steps.run(1)
      steps.do(() => hub.emit(closing))
      steps.run()
      assert.isDefined(poll(listener), `after ${step} steps`)
    }
  })
})
