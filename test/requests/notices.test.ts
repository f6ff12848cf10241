import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { now, settle } from "../support/memoryPool.js"
import { say, scenario, start } from "./support.js"

const mostWaiting = 65_536

/** Notices by their numbers, in one message. */
const notices = (from: number, count: number): string =>
  Array.from({ length: count }, (_, index) => `notice ${from + index}`).join(",")

describe("onNotice", () => {
  it.effect("past 65,536 unread notices of a connection the oldest are dropped, and counted as lagged", () => {
    const seen: Array<number> = []
    let goOn = (): void => {}
    const gate = Effect.callback<void>((resume) => {
      goOn = () => resume(Effect.void)
    })
    const onNotice = (value: unknown) => {
      seen.push(Number(value))
      return seen.length === 1 ? gate : Effect.void
    }
    return scenario({ onNotice }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], notices(0, 1))
        yield* say(sockets[0], notices(1, mostWaiting))
        assert.deepInclude(yield* lines.stats, { notices: 1 + mostWaiting, lagged: 0 })
        yield* say(sockets[0], notices(1 + mostWaiting, 3))
        assert.deepInclude(yield* lines.stats, { notices: 4 + mostWaiting, lagged: 3 })
        // It holds nobody up.
        yield* say(sockets[0], "1 = A")
        yield* now(call)
        goOn()
        while (seen.length < 1 + mostWaiting) yield* settle
        assert.deepStrictEqual(seen.slice(0, 3), [0, 4, 5])
        assert.strictEqual(seen.at(-1), mostWaiting + 3)
        assert.isTrue(seen.every((value, index) => index < 2 || value === seen[index - 1]! + 1))
      })
    )
  })

  it.effect("each connection has its own line", () => {
    const seen: Array<string> = []
    const onNotice = (value: unknown, connectionId: string) => {
      seen.push(`${connectionId} ${value}`)
      return connectionId === "main-1" ? Effect.never : Effect.void
    }
    return scenario({ onNotice, concurrency: 1, targetUtilization: 1 }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        yield* start(lines.request("a"))
        yield* start(lines.request("b"))
        yield* say(sockets[0], "notice x,notice y")
        yield* say(sockets[1], "notice z")
        assert.deepStrictEqual(seen, ["main-1 x", "main-2 z"])
      })
    )
  })

  it.effect("one that throws is a failure that is logged, and stops none behind it", () => {
    const seen: Array<unknown> = []
    const onNotice = (value: unknown): Effect.Effect<void> => {
      seen.push(value)
      throw new Error("a bug")
    }
    return scenario({ onNotice }, {}, (lines, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(lines.request("a"))
        yield* say(sockets[0], "notice x,notice y", "1 = A")
        yield* now(call)
        assert.deepStrictEqual(seen, ["x", "y"])
      })
    )
  })
})
