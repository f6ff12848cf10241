/** Histories of a fleet, most on a real engine, in simulated time. Random ones are the kinds `quota` and `engine` of the simulation. */
import { assert, describe, it } from "#support/vitest"
import { hasEngine } from "../simulation/quotaEngine.js"
import { failedOnce, inMemory, promises } from "../simulation/quotaHistories.js"
import { simulate } from "../simulation/quotaRun.js"
import { skipped } from "../support/redisServer.js"

describe("histories of the quota in memory", () => {
  for (const { name, program } of inMemory) it(name, () => assert.isAbove(simulate(program).grants, 0))
})

describe.skipIf(!hasEngine)(`histories${hasEngine ? "" : `: ${skipped}`}`, () => {
  describe("that failed once", () => {
    for (const { name, program } of failedOnce) it(name, () => void simulate(program))
  })

  describe("in which a promise would be broken", () => {
    for (const { name, program } of promises) {
      it(`promise ${name}`, () => assert.isAbove(simulate(program).grants, 0))
    }
  })
})
