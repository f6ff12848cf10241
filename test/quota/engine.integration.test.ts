/** What the engine decides, to the millisecond: a real one, on a clock by hand. */
import { Redis } from "ioredis"
import { assert, describe, it } from "#support/vitest"
import { argsOf, type Report } from "../../src/quota/redis/report.js"
import { script } from "../../src/quota/redis/script.js"
import { hasEngine, QuotaEngine } from "../simulation/quotaEngine.js"
import { RedisServer, skipped } from "../support/redisServer.js"

const ttl = 15_000
const recovery = 300
const key = (letter: string) => `ewp:{q}:${letter}`

const terms = {
  keys: ["w", "e", "a", "l", "r", "o", "c", "s"].map(key),
  channel: key("to:"),
  ttl,
  recovery,
  settle: 0,
  reclaim: "fair",
  connections: 2,
  windows: []
}

const silent: Omit<Report, "worker" | "seq"> = {
  held: 0,
  want: 0,
  back: 0,
  spare: 0,
  trying: 0,
  tried: 0,
  given: 0,
  granted: 0,
  askedIdle: 0,
  askedLeased: 0,
  owed: 0,
  owedIdle: 0,
  isUnable: false,
  old: 0,
  refused: 0,
  retryAfter: undefined,
  well: 0,
  epoch: "",
  version: 0,
  ages: [],
  isLast: false,
  latest: undefined,
  limit: undefined,
  windows: undefined,
  pause: 0,
  counts: false
}

type Said = Pick<Report, "worker" | "seq"> & Partial<Report>

const argsIn = (said: Said, own = terms) => [script, ...argsOf({ ...silent, ...said }, own, false)]

const answerTo = (engine: QuotaEngine, now: number, said: Said, own = terms): ReadonlyArray<unknown> =>
  engine.call(["EVAL", ...argsIn(said, own)], now).answer

/** What a worker knows by an answer. */
const knownBy = ([epoch = "", version = 0]: ReadonlyArray<unknown>) => ({
  epoch: String(epoch),
  version: Number(version)
})

describe.skipIf(!hasEngine)(`the engine${hasEngine ? "" : `: ${skipped}`}`, () => {
  it("promise 3: a killed worker's permits are free after ttl, not a millisecond before, and once", () => {
    const engine = new QuotaEngine(terms.keys)
    let seq = 0
    const report = (now: number, worker: string, said: Partial<Report>) => {
      seq += 1
      const answer = answerTo(engine, now, { worker, seq, ...said })
      return { allotment: answer[3], used: answer[7], workers: answer[9], wait: answer[12] }
    }
    report(0, "killed", { held: 2 })
    for (const now of [recovery, ttl / 3, (2 * ttl) / 3]) {
      assert.deepInclude(report(now, "one", { want: 1 }), { allotment: 0, used: 2, workers: 2 })
    }
    assert.deepInclude(report(ttl - 1, "other", { want: 2 }), { allotment: 0, used: 2, workers: 3 })
    // It is told when to ask again: then.
    assert.deepInclude(report(ttl - 1, "one", { want: 1 }), { allotment: 0, used: 2, wait: 1 })
    assert.deepInclude(report(ttl, "one", { want: 1 }), { allotment: 1, used: 2, workers: 2 })
    assert.deepInclude(report(ttl, "other", { want: 2 }), { allotment: 1, used: 2, workers: 2 })
    assert.deepInclude(report(ttl + 1, "other", { held: 1, want: 1 }), { allotment: 1, used: 2, workers: 2 })
  })

  it("promise 12: a report that says what the last one said renews, and is answered as that would be now", () => {
    const engine = new QuotaEngine(terms.keys)
    let seq = 0
    let latest: ReadonlyArray<unknown> = []
    const report = (now: number, worker: string, said: Partial<Report> = {}, number = seq + 1) => {
      seq = Math.max(seq, number)
      latest = answerTo(engine, now, { worker, seq: number, ...knownBy(latest), ...said })
      const [, , about, allotment, , , , used, waiting, workers, recovering, , , rank] = latest
      return { about, allotment, used, waiting, workers, recovering, rank }
    }
    const calm = { allotment: 1, used: 2, waiting: 0, workers: 2, recovering: 0, rank: -1 }
    report(0, "one", { held: 1 })
    report(0, "other", { held: 1 })
    for (const now of [5000, 10_000, 14_000, 19_000]) {
      assert.deepEqual(report(now, "one", { held: 1 }), { about: seq, ...calm })
      assert.deepEqual(report(now, "other", { held: 1 }), { about: seq, ...calm })
    }
    // One that is late, or comes twice, says nothing, and renews nothing.
    assert.deepEqual(report(20_000, "one", { held: 1 }, seq - 1), { about: -1, ...calm })
    for (const now of [24_000, 29_000, 33_999]) {
      assert.deepEqual(report(now, "other", { held: 1 }), { about: seq, ...calm })
    }
    assert.deepEqual(report(34_000, "other", { held: 1 }), { about: seq, ...calm, used: 1, workers: 1 })
    // What was granted is not granted again, however often the worker says that it has heard nothing of it.
    const granted = { ...calm, allotment: 2, used: 2, workers: 1 }
    for (const now of [35_000, 35_001, 35_002]) {
      assert.deepEqual(report(now, "other", { held: 1, want: 1 }), { about: seq, ...granted })
    }
    // A key that is lost is missed by the next that says something new, and nobody has written it anew.
    report(36_000, "other", { held: 2 })
    engine.lose([key("e")])
    for (const now of [37_000, 38_000]) {
      assert.deepEqual(report(now, "other", { held: 2 }), { about: seq, ...granted })
    }
    assert.include(report(39_000, "other", { held: 1, given: 1 }), { allotment: 1, used: 1, recovering: recovery })
  })

  it("promise 3: a killed worker's permits are free after ttl, though that of others is longer, and all say the same", () => {
    const engine = new QuotaEngine(terms.keys)
    const seqs = { patient: 0, other: 0 }
    let latest: ReadonlyArray<unknown> = []
    const report = (now: number, worker: keyof typeof seqs, said: Partial<Report> = {}) => {
      const own = { ...terms, ttl: worker === "patient" ? 4 * ttl : ttl }
      seqs[worker] += 1
      latest = answerTo(engine, now, { worker, seq: seqs[worker], ...knownBy(latest), ...said }, own)
      return { allotment: latest[3], used: latest[7] }
    }
    report(0, "patient")
    report(0, "other", { held: 1 })
    // All have so long now that it takes the longest ttl until somebody lapses.
    engine.restart()
    report(1000, "patient")
    report(15_100, "patient")
    report(15_600, "other", { held: 1 })
    report(25_000, "patient")
    assert.deepEqual(report(30_599, "patient", { want: 2 }), { allotment: 1, used: 2 })
    assert.deepEqual(report(30_600, "patient", { held: 1, want: 1, granted: 1 }), { allotment: 2, used: 2 })
  })

  it("promise 17: the first one's options count, though all have said the same since the engine lost its data", () => {
    const engine = new QuotaEngine(terms.keys)
    const answers = new Map<string, ReadonlyArray<unknown>>()
    let seq = 0
    const limitOf = (now: number, worker: string, connections: number) => {
      const before = answers.get(worker) ?? []
      seq += 1
      const latest = { limit: Number(before[6] ?? connections), windows: "", limitsOf: String(before[16] ?? "") }
      const own = { ...terms, recovery: 6000, connections }
      const answer = answerTo(engine, now, { worker, seq, ...knownBy(before), latest }, own)
      answers.set(worker, answer)
      return answer[6]
    }
    for (const now of [0, 5000, 7000, 9000]) assert.strictEqual(limitOf(now, "first", 2), 2)
    engine.lose()
    assert.strictEqual(limitOf(10_000, "other", 5), 5)
    assert.strictEqual(limitOf(15_000, "first", 2), 2)
    assert.strictEqual(limitOf(16_000, "other", 5), 2)
  })

  it("asks thousands of workers at once", async () => {
    const server = await RedisServer.start()
    const redis = new Redis({ port: server.port })
    try {
      const many = 4100
      const own = { ...terms, recovery: 1, connections: many }
      const idle = (index: number, said: Partial<Report> = {}) =>
        redis.call("EVAL", ...argsIn({ worker: `worker${index}`, seq: 1, held: 1, spare: 1, ...said }, own))
      await Promise.all(Array.from({ length: many }, (_, index) => idle(index)))
      const [, , about, allotment] = (await idle(0, { seq: 2, want: many })) as ReadonlyArray<unknown>
      assert.deepEqual([about, allotment], [2, 1])
      // Each of them was noted, and what it owes.
      assert.strictEqual(await redis.zcard(key("r")), 0)
      const [, , , , asked, , , used] = (await idle(1, { seq: 2 })) as ReadonlyArray<unknown>
      assert.deepEqual([asked, used], [1, many])
    } finally {
      redis.disconnect()
      await server.end()
    }
  })

  it("promise 9: who wanted something alone, and got a part of it, is in its place in line", () => {
    const engine = new QuotaEngine(terms.keys)
    let seq = 0
    const report = (now: number, worker: string, said: Partial<Report> = {}) => {
      seq += 1
      const answer = answerTo(engine, now, { worker, seq, ...said })
      return { allotment: answer[3], waiting: answer[8], rank: answer[13] }
    }
    report(0, "one")
    assert.deepEqual(report(recovery, "one", { want: 3 }), { allotment: 2, waiting: 1, rank: 0 })
    assert.deepEqual(report(recovery, "other", { want: 1 }), { allotment: 0, waiting: 2, rank: 0 })
    assert.deepEqual(report(recovery, "one", { held: 2, want: 1, granted: 2 }), { allotment: 2, waiting: 2, rank: 1 })
    // Whoever leaves the line has left it.
    assert.deepEqual(report(recovery, "other"), { allotment: 0, waiting: 1, rank: -1 })
    assert.deepEqual(report(recovery, "one", { held: 2, granted: 2 }), { allotment: 2, waiting: 0, rank: -1 })
    assert.deepEqual(report(recovery, "other", { want: 1 }), { allotment: 0, waiting: 1, rank: 0 })
    assert.deepEqual(report(recovery, "one", { held: 1, given: 1, granted: 2 }), { allotment: 1, waiting: 0, rank: -1 })
  })

  it("promise 1: another process is noticed by the first report to it, whoever knows the script already", () => {
    const noticed = (left: number, found: number, how: (engine: QuotaEngine) => void = () => undefined) => {
      const engine = new QuotaEngine(terms.keys)
      let seq = 0
      const recovering = (at: number) => {
        seq += 1
        return answerTo(engine, at, { worker: "one", seq })[10]
      }
      assert.strictEqual(recovering(1000), recovery)
      assert.strictEqual(recovering(1000 + recovery), 0)
      how(engine)
      assert.strictEqual(recovering(left), 0)
      // Another quota may be the first whose script the new process hears of.
      engine.restart()
      return recovering(found) === recovery
    }
    for (const left of [1400, 2999, 3000, 4999, 7000]) {
      for (const after of [1, 99, 1000, 5000])
        assert.isTrue(noticed(left, left + after), `${after} ms after ${left} ms`)
    }
    // Saved in the very second in which the other one begins, and when it had been written last.
    assert.isTrue(noticed(7000, 7001, (engine) => engine.saveAt(7000)))
    // Another machine's clock may be behind.
    assert.isTrue(noticed(7000, 6999))
  })
})
