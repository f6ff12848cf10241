/** What the engine decides, to the millisecond: a real one, on a clock by hand. */
import { assert, describe, it } from "#support/vitest"
import { argsOf, type Report } from "../../src/quota/redis/report.js"
import { script } from "../../src/quota/redis/script.js"
import { hasEngine, QuotaEngine } from "../simulation/quotaEngine.js"
import { skipped } from "../support/redisServer.js"

const ttl = 15_000
const recovery = 300
const key = (letter: string) => `ewp:{q}:${letter}`

const terms = {
  keys: ["m", "w", "e", "a", "l", "r", "o", "c", "s"].map(key),
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

describe.skipIf(!hasEngine)(`the engine${hasEngine ? "" : `: ${skipped}`}`, () => {
  it("promise 3: a killed worker's permits are free after ttl, not a millisecond before, and once", () => {
    const engine = new QuotaEngine(terms.keys)
    let seq = 0
    const report = (now: number, worker: string, said: Partial<Report>) => {
      seq += 1
      const { answer } = engine.call(
        ["EVAL", script, ...argsOf({ ...silent, worker, seq, ...said }, terms, false)],
        now
      )
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

  it("promise 1: another process is noticed by the first report to it, whoever knows the script already", () => {
    const noticed = (left: number, found: number, how: (engine: QuotaEngine) => void = () => undefined) => {
      const engine = new QuotaEngine(terms.keys)
      let seq = 0
      const recovering = (at: number) => {
        seq += 1
        const report = { ...silent, worker: "one", seq }
        return engine.call(["EVAL", script, ...argsOf(report, terms, false)], at).answer[10]
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
