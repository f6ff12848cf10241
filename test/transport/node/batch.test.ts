import * as Effect from "#effect/Effect"
import { assert, describe, it, vi } from "#support/vitest"
import { makeBatch } from "../../../src/transport/node/turn.js"

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("makeBatch", () => {
  it.live("does all that one turn of the event loop has asked for in one go, in order", () =>
    Effect.gen(function* () {
      const batch = makeBatch()
      const done: Array<string> = []
      const does = (what: string) => () => {
        done.push(what)
        // Between two of them nobody else has a turn.
        queueMicrotask(() => done.push(`after ${what}`))
      }
      batch(does("a"))
      yield* Effect.promise(() => Promise.resolve())
      batch(does("b"))
      assert.deepStrictEqual(done, [])
      yield* turn
      assert.deepStrictEqual(done, ["a", "b", "after a", "after b"])
    })
  )

  it.live("leaves to the next turn what is asked for meanwhile", () =>
    Effect.gen(function* () {
      const batch = makeBatch()
      const done: Array<string> = []
      batch(() => {
        done.push("a")
        batch(() => done.push("c"))
      })
      batch(() => done.push("b"))
      yield* turn
      assert.deepStrictEqual(done, ["a", "b"])
      yield* turn
      assert.deepStrictEqual(done, ["a", "b", "c"])
    })
  )

  it.live("keeps two apart", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const [first, second] = [makeBatch(), makeBatch()]
      first(() => done.push("a"))
      second(() => done.push("b"))
      first(() => done.push("c"))
      yield* turn
      assert.deepStrictEqual(done, ["a", "c", "b"])
    })
  )

  it.live("is done though timers were faked before it was imported", () =>
    Effect.gen(function* () {
      // A copy of its own.
      const copy = "../../../src/transport/node/turn.js?early"
      vi.useFakeTimers()
      const turns: { readonly makeBatch: typeof makeBatch } = yield* Effect.promise(() => import(copy)).pipe(
        Effect.ensuring(Effect.sync(() => vi.useRealTimers()))
      )
      const done: Array<string> = []
      turns.makeBatch()(() => done.push("a"))
      yield* turn
      assert.deepStrictEqual(done, ["a"])
    })
  )
})
