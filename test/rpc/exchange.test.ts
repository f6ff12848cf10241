import * as Effect from "#effect/Effect"
import { interruptNow, poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { Exchange } from "../../src/rpc/exchange.js"
import { atStep, Steps } from "../support/steps.js"

describe("Exchange", () => {
  it("tells a client that begins to listen between a look for it and a wait", () => {
    for (let step = 0; step < 20; step++) {
      const steps = new Steps(atStep(step))
      // It calls nobody.
      const exchange = new Exchange(undefined as never, undefined as never, undefined as never)
      const telling = steps.fork(exchange.tell(0, { _tag: "Pong" }))
      const told: Array<string> = []
      const listening = steps.fork(exchange.run(0, ({ _tag }) => Effect.sync(() => told.push(_tag))))
      steps.run()
      assert.isDefined(poll(telling), `after ${step} steps`)
      assert.deepStrictEqual(told, ["Pong"])
      steps.do(() => interruptNow(listening))
      steps.run()
    }
  })

  it("tells the next client of an id, if one has come and gone between a look for it and a wait", () => {
    for (let step = 0; step < 20; step++) {
      const steps = new Steps(atStep(step))
      const exchange = new Exchange(undefined as never, undefined as never, undefined as never)
      const told: Array<string> = []
      const listen = () => steps.fork(exchange.run(0, ({ _tag }) => Effect.sync(() => told.push(_tag))))
      steps.fork(exchange.tell(0, { _tag: "Pong" }))
      const first = listen()
      steps.do(() => interruptNow(first))
      steps.run()
      const second = listen()
      steps.run()
      assert.deepStrictEqual(told, ["Pong"], `after ${step} steps`)
      steps.do(() => interruptNow(second))
      steps.run()
    }
  })
})
