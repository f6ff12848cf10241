/** A worker whose engine is a few lines: what it makes of answers that a real engine gives to nobody, or seldom. */
import { ConnectionQuota } from "effect-websocket-pool"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { settle } from "../support/memoryPool.js"

/** What a report says of interest here. */
interface Said {
  readonly seq: number
  readonly held: number
  readonly want: number
}

interface Answered {
  readonly epoch?: number
  readonly seq?: number
  readonly allotment: number
}

/** A worker on an engine of its own, and what it has reported. */
const workerOn = (answer: (said: Said) => Answered | Effect.Effect<Answered>) =>
  Effect.gen(function* () {
    const reports: Array<Said> = []
    let tell: (message: string) => void = () => undefined
    const client: RedisConnectionQuota.Client = {
      command: (args) =>
        Effect.suspend(() => {
          const numbers = (args[12] ?? "").split(" ")
          const [seq = 0, held = 0, want = 0] = [0, 6, 7].map((at) => Number(numbers[at]))
          const said = { seq, held, want }
          reports.push(said)
          const answered = answer(said)
          return Effect.map(
            Effect.isEffect(answered) ? answered : Effect.succeed(answered),
            ({ allotment, epoch = 1, seq: about = seq }) => [
              epoch,
              reports.length,
              about,
              allotment,
              0,
              0,
              5,
              allotment,
              want,
              1,
              0,
              0,
              14_000,
              -1,
              "",
              "",
              "1"
            ]
          )
        }),
      subscribe: (_, onMessage) =>
        Effect.sync(() => {
          tell = onMessage
        })
    }
    const context = yield* Layer.build(RedisConnectionQuota.layer({ name: "account", connections: 5, client }))
    const quota = Context.get(context, ConnectionQuota.ConnectionQuota)
    const share = yield* quota.join({ name: "member", spare: () => 0, yield: () => 0, close: () => undefined })
    yield* settle
    let granted = 0
    const want = Effect.andThen(
      Effect.sync(() => {
        share.take("waiter", () => {
          granted += 1
        })
      }),
      settle
    )
    return { reports, want, granted: () => granted, tell: (message: string) => tell(message) }
  })

describe("promise 1: an engine that begins anew", () => {
  it.effect("is told at once what was granted after the report that it has heard", () =>
    Effect.gen(function* () {
      let answer: Effect.Effect<Answered> = Effect.succeed({ allotment: 0 })
      const { granted, reports, tell, want } = yield* workerOn(() => answer)
      // A client has sent it again to an engine that has lost its data, and a grant for it came from the one before.
      answer = Effect.delay(Effect.succeed({ epoch: 2, allotment: 0 }), "1 second")
      yield* want
      tell(`g 1 ${reports.at(-1)!.seq} 1`)
      assert.strictEqual(granted(), 1)
      assert.deepInclude(reports.at(-1)!, { held: 0, want: 1 })
      answer = Effect.succeed({ epoch: 2, allotment: 1 })
      const before = reports.length
      yield* TestClock.adjust("999 millis")
      assert.lengthOf(reports, before)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.deepInclude(reports.at(-1)!, { held: 1, want: 0 })
    })
  )
})

describe("promise 12: what a worker may open", () => {
  it.effect("is nothing by an answer that is about another report: it reports once more in 100 ms", () =>
    Effect.gen(function* () {
      let isAboutIt = true
      const { granted, reports, want } = yield* workerOn(({ held, seq, want }) => ({
        allotment: held + want,
        seq: isAboutIt ? seq : seq - 1
      }))
      yield* want
      assert.strictEqual(granted(), 1)
      isAboutIt = false
      const before = reports.length
      yield* want
      assert.isAbove(reports.length, before)
      assert.strictEqual(granted(), 1)
      isAboutIt = true
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(granted(), 1)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.strictEqual(granted(), 2)
    })
  )

  it.effect("is the answer less what that very report said it held", () =>
    Effect.gen(function* () {
      const { granted, want } = yield* workerOn(({ held, want }) => ({ allotment: Math.min(held + want, 2) }))
      for (let count = 1; count <= 4; count++) yield* want
      assert.strictEqual(granted(), 2)
    })
  )
})
