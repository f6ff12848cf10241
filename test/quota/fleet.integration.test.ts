/** Real processes, a real engine, a backend that counts: promises 1, 2, 3 and 11 in every fault. */
import { Redis } from "ioredis"
import { afterEach, assert, describe, it } from "#support/vitest"
import { Fleet, type FleetOptions } from "../support/fleet.js"
import { hasRedis, skipped } from "../support/redisServer.js"

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const until = async (condition: () => boolean, what: string, millis = 30_000): Promise<void> => {
  for (const begin = Date.now(); !condition(); await sleep(20)) {
    assert.isBelow(Date.now() - begin, millis, `not within ${millis} ms: ${what}`)
  }
}

describe.skipIf(!hasRedis)(`a fleet of processes${hasRedis ? "" : `: ${skipped}`}`, () => {
  let fleet: Fleet | undefined
  afterEach(async () => {
    await fleet?.end()
    fleet = undefined
  })

  const started = async (options: Partial<FleetOptions> = {}): Promise<Fleet> => {
    fleet = await Fleet.start({ workers: 3, limit: 4, fibers: 2, ...options })
    const { backend, workers } = fleet
    await until(() => workers.every(({ answers }) => answers > 0), "every worker is served", 60_000)
    assert.strictEqual(backend.most, 4)
    return fleet
  }

  /** Each of them gets more answers than it has. */
  const goesOn = async (workers: ReadonlyArray<{ readonly answers: number }>): Promise<void> => {
    const before = workers.map(({ answers }) => answers)
    await until(() => workers.every(({ answers }, index) => answers > before[index]! + 3), "everybody goes on")
  }

  it("killed workers give their permits up after ttl, and nothing is above the limit", {
    timeout: 120_000
  }, async () => {
    const { backend, workers } = await started()
    await workers[0]!.kill()
    await goesOn(workers.slice(1))
    await until(() => backend.sockets === 4, "their permits are used again")
    assert.strictEqual(backend.most, 4)
  })

  for (const [what, redis] of [
    ["without its data", []],
    ["with its data", ["--appendonly", "yes", "--appendfsync", "always"]]
  ] as const) {
    it(`an engine that is killed and comes back ${what} grants nothing too much`, { timeout: 120_000 }, async () => {
      const { backend, engine, workers } = await started({ redis })
      await engine.kill()
      await sleep(200)
      await engine.start()
      await goesOn(workers)
      assert.strictEqual(backend.most, 4)
    })
  }

  const keys = async (admin: Redis): Promise<ReadonlyArray<string>> => (await admin.keys("ewp:{fleet}:*")).toSorted()

  it("an engine that loses single keys grants nothing too much", { timeout: 120_000 }, async () => {
    const { backend, engine, workers } = await started()
    const admin = new Redis({ port: engine.port })
    try {
      for (const letter of ["w", "e", "a"]) {
        assert.strictEqual(await admin.del(`ewp:{fleet}:${letter}`), 1, letter)
        await goesOn(workers)
      }
    } finally {
      admin.disconnect()
    }
    assert.strictEqual(backend.most, 4)
  })

  it("an engine that falls back to an older state grants nothing too much", { timeout: 120_000 }, async () => {
    const { backend, engine, workers } = await started()
    const admin = new Redis({ port: engine.port })
    try {
      const saved = await Promise.all(
        (await keys(admin)).map(async (key) => ({ key, dump: await admin.dumpBuffer(key) }))
      )
      assert.isAbove(saved.length, 2)
      // Another one has its turn meanwhile: what was saved is not so any more.
      await workers[0]!.kill()
      await goesOn(workers.slice(1))
      const fallBack = admin.multi().del(...(await keys(admin)))
      for (const { dump, key } of saved) if (dump !== null) fallBack.restore(key, 0, dump)
      await fallBack.exec()
      await goesOn(workers.slice(1))
    } finally {
      admin.disconnect()
    }
    assert.strictEqual(backend.most, 4)
  })

  it("a stopped engine stops nobody who has a connection; then it goes on by itself", {
    timeout: 120_000
  }, async () => {
    const { backend, engine, workers } = await started({ hold: 5 })
    engine.signal("SIGSTOP")
    await sleep(2500)
    const some = workers.reduce((sum, { answers }) => sum + answers, 0)
    await sleep(500)
    assert.isAbove(
      workers.reduce((sum, { answers }) => sum + answers, 0),
      some
    )
    engine.signal("SIGCONT")
    await goesOn(workers)
    assert.strictEqual(backend.most, 4)
  })

  it("promise 2: above the limit is at most what a stopped worker holds", { timeout: 120_000 }, async () => {
    const { backend, workers } = await started()
    const [stopped] = workers
    stopped!.process.kill("SIGSTOP")
    await sleep(4500)
    assert.isAtMost(backend.most, 4 + 2)
    stopped!.process.kill("SIGCONT")
    await goesOn(workers)
    await until(() => backend.sockets <= 4, "it goes down")
    assert.isAtMost(backend.most, 4 + 2)
  })
})
