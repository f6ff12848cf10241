/** Histories of a fleet on a real engine, in simulated time. Random ones are the kind `engine` of the simulation. */
import { assert, describe, it } from "#support/vitest"
import { hasEngine } from "../simulation/quotaEngine.js"
import { failedOnce, promises } from "../simulation/quotaHistories.js"
import { simulate } from "../simulation/quotaRun.js"
import { skipped } from "../support/redisServer.js"

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
