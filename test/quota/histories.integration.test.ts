/**
 * Random histories of the script against a model: reports that are lost, doubled, late or overtaken, answers that are lost,
 * workers that are killed or stopped, an engine that loses data, single keys, or falls back to an older state. The clock is
 * the history's own.
 */
import fc from "fast-check"
import { Redis } from "ioredis"
import { afterAll, assert, beforeAll, describe, it } from "#support/vitest"
import { answerOf, argsOf, type Report, type Terms } from "../../src/quota/redis/report.js"
import { script } from "../../src/quota/redis/script.js"
import { hasRedis, RedisServer, skipped } from "../support/redisServer.js"

const clockwork = script.replace("call('TIME')", "{ ARGV[34], ARGV[35] }")

const ttl = 900
const recovery = 400
const window = 1500
const limit = 2
const attempts = 3

const letters = ["m", "w", "e", "a", "l", "r", "o", "c", "s"]
const keys = letters.map((letter) => `h:{h}:${letter}`)
const terms: Terms = {
  ...{ keys, channel: "h:{h}:to:", ttl, recovery, settle: 0, reclaim: "fair", connections: limit },
  windows: [{ limit: attempts, millis: window }]
}

/** A worker, as the model has it: what it really has, and what it remembers. */
class Model {
  held = 0
  want = 0
  trying = 0
  tried = 0
  given = 0
  granted = 0
  askedIdle = 0
  askedLeased = 0
  owed = 0
  seq = 0
  base = 0
  since = 0
  epoch = ""
  version = 0
  forgotten = false
  ends: Array<number> = []
  isAlive = true
  heardAt = 0
  sentAt = 0

  constructor(readonly id: string) {}

  present(now: number): Report {
    this.seq += 1
    this.base = this.held
    this.since = 0
    this.sentAt = now
    const { askedIdle, askedLeased, epoch, given, granted, held, id, owed, seq, tried, trying, version, want } = this
    const ages = this.forgotten ? this.ends.map((end) => now - end) : []
    this.forgotten = false
    return {
      ...{
        worker: id,
        seq,
        held,
        want,
        back: 0,
        spare: 0,
        trying,
        tried,
        given,
        granted,
        askedIdle,
        askedLeased,
        owed
      },
      ...{ old: 0, refused: 0, retryAfter: undefined, well: 0, epoch, version, ages, isLast: false },
      ...{ limit: undefined, windows: undefined, pause: 0, counts: true }
    }
  }
}

type Step =
  | {
      readonly kind: "want" | "end" | "release" | "report" | "lose" | "unheard" | "late" | "twice"
      readonly worker: number
    }
  | { readonly kind: "kill" | "stop"; readonly worker: number }
  | { readonly kind: "wait"; readonly millis: number }
  | { readonly kind: "delete"; readonly key: number }
  | { readonly kind: "deliver" | "flush" | "save" | "restore" }

const count = 4
const workerOf = fc.nat({ max: count - 1 })
const oneOf = (kinds: ReadonlyArray<string>) => fc.record({ kind: fc.constantFrom(...kinds), worker: workerOf })
const step = fc.oneof(
  { weight: 60, arbitrary: oneOf(["want", "want", "want", "report", "end", "end", "end", "release", "release"]) },
  { weight: 10, arbitrary: oneOf(["lose", "unheard", "late", "late", "twice"]) },
  { weight: 4, arbitrary: fc.constant({ kind: "deliver" }) },
  { weight: 40, arbitrary: fc.record({ kind: fc.constant("wait"), millis: fc.integer({ min: 1, max: 80 }) }) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant("delete"), key: fc.nat({ max: keys.length - 1 }) }),
      fc.record({ kind: fc.constantFrom("flush", "save", "restore") }),
      oneOf(["kill"])
    )
  }
) as fc.Arbitrary<Step>

describe.skipIf(!hasRedis)(`histories of the script${hasRedis ? "" : `: ${skipped}`}`, () => {
  let server: RedisServer
  let redis: Redis
  const inbox = new Map<string, Array<string>>()
  let listener: Redis
  beforeAll(async () => {
    server = await RedisServer.start()
    redis = new Redis({ port: server.port })
    listener = new Redis({ port: server.port })
    await listener.psubscribe("h:{h}:to:*")
    listener.on("pmessage", (_, channel: string, message: string) => {
      const id = channel.slice("h:{h}:to:".length)
      inbox.set(id, [...(inbox.get(id) ?? []), message])
    })
  })
  afterAll(async () => {
    redis?.disconnect()
    listener?.disconnect()
    await server?.end()
  })

  const play = async (steps: ReadonlyArray<Step>): Promise<void> => {
    await redis.flushall()
    inbox.clear()
    const models = Array.from({ length: count }, (_, index) => new Model(`w${index}`))
    const delayed: Array<Report> = []
    /** When attempts began and ended that the server has seen. */
    const seen: Array<{ readonly from: number; to: number; readonly by: Model }> = []
    let saved: Array<readonly [string, Buffer]> | undefined
    let now = 1_000_000

    const evaluate = async (report: Report, isFresh = false) => {
      const args = [...argsOf(report, terms, isFresh), String(Math.floor(now / 1000)), String((now % 1000) * 1000)]
      const answer = answerOf(await redis.call("EVAL", clockwork, ...args))
      assert.isDefined(answer)
      return answer!
    }
    const allotted = (model: Model, allotment: number): void => {
      while (allotment - model.base > model.since && model.want > 0) {
        model.since += 1
        model.want -= 1
        model.held += 1
        model.trying += 1
        model.granted += 1
        seen.push({ from: now, to: Number.POSITIVE_INFINITY, by: model })
      }
    }
    const asked = (model: Model, idle: number, leased: number): void => {
      model.owed += Math.min(Math.max(leased - model.askedLeased, 0), Math.max(model.held - model.owed, 0))
      model.askedIdle = idle
      model.askedLeased = leased
    }
    const hear = (model: Model, answer: NonNullable<ReturnType<typeof answerOf>>): void => {
      if (answer.seq !== model.seq) return
      if (answer.epoch !== model.epoch) {
        model.forgotten = model.ends.length > 0
        model.epoch = answer.epoch
        model.version = answer.version
      } else model.version = Math.max(model.version, answer.version)
      asked(model, answer.askedIdle, answer.askedLeased)
      allotted(model, answer.allotment)
    }
    /** A report, and another one right after it if the engine has forgotten something. */
    const report = async (model: Model): Promise<void> => {
      if (!model.isAlive) return
      for (let times = 0; times < 2 && (times === 0 || model.forgotten); times++) {
        const answer = await evaluate(model.present(now))
        model.heardAt = now
        hear(model, answer)
      }
    }
    /** The page's condition: every living worker reaches the engine within `recovery`. */
    const wait = async (millis: number): Promise<void> => {
      for (let left = millis; left > 0; left -= 50) {
        now += Math.min(left, 50)
        for (const model of models) if (model.isAlive && now - model.sentAt >= recovery / 2) await report(model)
      }
    }
    const check = async (): Promise<void> => {
      const counting = models.filter(({ heardAt, isAlive }) => isAlive || now - heardAt < ttl)
      const sockets = counting.reduce((sum, { held }) => sum + held, 0)
      assert.isAtMost(sockets, limit, "above the limit")
      const recent = seen.filter(({ to }) => to + window > now).length
      assert.isAtMost(recent, attempts, "attempts in a window")
      const meta = await redis.hgetall(keys[0]!)
      if (meta.ep === undefined) return
      const records = Object.values(await redis.hgetall(keys[1]!)).map((packed) => packed.split(" ").map(Number))
      if (records.length !== Number(meta.nw)) return
      const sum = (index: number): number => records.reduce((total, record) => total + (record[index] ?? 0), 0)
      const sums = { used: sum(2), wants: sum(3), backs: sum(4), pend: sum(6), debts: sum(11) }
      for (const [field, expected] of Object.entries(sums)) assert.strictEqual(Number(meta[field]), expected, field)
    }

    const deliver = async (): Promise<void> => {
      for (const model of models) {
        for (const message of inbox.get(model.id) ?? []) {
          const [kind, epoch, first, second] = message.split(" ")
          if (!model.isAlive || epoch !== model.epoch) continue
          if (kind === "r") asked(model, Number(first), Number(second))
          else if (Number(first) === model.seq && now - model.sentAt < ttl) allotted(model, Number(second))
        }
      }
      inbox.clear()
    }

    for (const one of steps) {
      if ("worker" in one) {
        const model = models[one.worker]!
        if (!model.isAlive) continue
        switch (one.kind) {
          case "want":
            model.want += 1
            await report(model)
            break
          case "end":
            if (model.trying > 0) {
              model.trying -= 1
              model.tried += 1
              model.ends.push(now)
              seen.find(({ by, to }) => by === model && to === Number.POSITIVE_INFINITY)!.to = now
              await report(model)
            }
            break
          case "release":
            if (model.held > model.trying) {
              model.held -= 1
              model.given += 1
              model.owed = Math.max(model.owed - 1, 0)
              if (model.want === 0) await report(model)
            }
            break
          case "report":
            await report(model)
            break
          case "lose":
            model.present(now)
            break
          case "unheard":
            await evaluate(model.present(now))
            model.heardAt = now
            break
          case "late":
            delayed.push(model.present(now))
            break
          case "twice": {
            const said = model.present(now)
            const answer = await evaluate(said)
            model.heardAt = now
            await evaluate(said)
            hear(model, answer)
            break
          }
          case "kill":
            if (models.filter(({ isAlive }) => isAlive).length > 1) {
              model.isAlive = false
              for (const attempt of seen) if (attempt.by === model) attempt.to = Math.min(attempt.to, now)
            }
        }
      } else {
        switch (one.kind) {
          case "wait":
            await wait(one.millis)
            break
          case "deliver":
            // Those of the dead are as old as they are.
            for (const said of delayed.splice(0)) {
              if (models.some(({ id, isAlive }) => id === said.worker && isAlive)) await evaluate(said)
            }
            break
          case "delete":
            await redis.del(keys[one.key]!)
            break
          case "flush":
            await redis.del(...keys)
            break
          case "save":
            saved = []
            for (const key of keys) {
              const dump = await redis.dumpBuffer(key)
              if (dump !== null) saved.push([key, dump])
            }
            break
          case "restore":
            if (saved === undefined) break
            await redis.del(...keys)
            for (const [key, dump] of saved) await redis.restore(key, 0, dump)
            // Another process than before: whoever comes first says so.
            for (const model of models.filter(({ isAlive }) => isAlive).slice(0, 1)) {
              hear(model, await evaluate(model.present(now), true))
              model.heardAt = now
            }
        }
      }
      // Messages come in their order: an answer of Redis comes behind what was published before it.
      await listener.ping()
      await deliver()
      await check()
    }

    // In the end it all comes to rest: nobody waits while there is room.
    for (const model of models) if (model.isAlive) await report(model)
    await wait(2 * ttl + recovery + 2 * window)
    for (const model of models) if (model.isAlive) await report(model)
    await listener.ping()
    await deliver()
    await check()
    const held = models.reduce((sum, model) => sum + (model.isAlive ? model.held : 0), 0)
    const wanted = models.reduce((sum, model) => sum + (model.isAlive ? model.want : 0), 0)
    const trying = models.reduce((sum, model) => sum + (model.isAlive ? model.trying : 0), 0)
    assert.isTrue(wanted === 0 || held >= limit || trying >= attempts, `${wanted} wait, and ${held} are held`)
  }

  it("never go above the limits, keep their sums, and forget nobody", async () => {
    const runs = Number(process.env.QUOTA_HISTORIES ?? 60)
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150 }), play), { numRuns: runs })
  }, 600_000)
})
