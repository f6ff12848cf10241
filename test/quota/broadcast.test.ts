import * as Stream from "#effect/Stream"
import { poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { Broadcast } from "../../src/quota/broadcast.js"
import { atStep, Steps } from "../support/steps.js"

describe("Broadcast", () => {
  it("tells what happens between a look and a wait for more, where the scheduler lets others go first", () => {
    for (let step = 0; step < 300; step++) {
      const broadcast = new Broadcast()
      const steps = new Steps(atStep(step))
      const listener = steps.fork(Stream.runHead(broadcast.stream))
      let isHeard = false
      const tell = () =>
        broadcast.tell(() => {
          isHeard = true
          return { _tag: "Reachable", quota: "a" }
        })
      for (let turn = 0; turn < 20 && !isHeard; turn++) {
        steps.do(tell)
        steps.run(1)
      }
      steps.run()
      assert.isDefined(poll(listener), `after ${step} steps`)
    }
  })
})
