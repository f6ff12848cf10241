/** Who gets a message, whatever happens between two steps of whoever waits for it. */
import fc from "fast-check"
import { isInterruptible, withFiber } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import { interruptNow, poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import type { Holder } from "../../src/connection/holder.js"
import { Reading } from "../../src/connection/reading.js"
import { ConnectionClosedError, type ConnectionError } from "../../src/values/errors.js"
import type { Message } from "../../src/values/message.js"
import { atStep, Steps } from "../support/steps.js"

const closed = new ConnectionClosedError({ connectionId: "a", code: 1006, reason: "", initiator: "Remote" })

interface Receiver {
  readonly lease: Holder
  readonly fiber: Fiber.Fiber<unknown, ConnectionError>
  /** What it has got. It may end otherwise, if it was interrupted where it could not be. */
  readonly got: Array<Message>
}

/** A connection with whoever reads it. */
class Line {
  private readonly steps: Steps
  private arrived = 0
  /** To whom each message belongs that has come. */
  readonly owners = new Map<Message, Holder>()
  readonly receivers: Array<Receiver> = []
  dropped = 0
  /** Whether all was read at the end of each lease. */
  readonly wasRead: Array<boolean> = []
  private isAwaited = false

  id = "a"
  lease: Holder | undefined = undefined
  closedError: ConnectionClosedError | undefined = undefined
  /** Room for a message, and not for two. */
  receiveBuffer = 100
  readonly reading = new Reading(this)

  constructor(mayYield: () => boolean) {
    this.steps = new Steps(mayYield)
    this.lend()
  }

  onAwaited(): void {
    this.isAwaited = true
  }

  onDropped(): void {
    this.dropped += 1
  }

  isPaused = false

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  /** Lets so many steps of fibers happen. */
  run(steps?: number): void {
    this.steps.run(steps)
  }

  lend(): void {
    this.lease ??= { since: 0, span: undefined, kept: undefined }
  }

  arrive(): void {
    const { lease } = this
    // Whatever comes between two leases is somebody else's.
    if (lease === undefined || this.closedError !== undefined) return
    this.arrived += 1
    this.owners.set(`m${this.arrived}`, lease)
    this.reading.arrive(`m${this.arrived}`, 1)
  }

  /** The turn of the event loop comes to its end. */
  wake(): void {
    if (!this.isAwaited) return
    this.isAwaited = false
    this.steps.do(() => this.reading.wake())
  }

  giveBack(): void {
    const { lease } = this
    if (lease === undefined) return
    this.steps.do(() => {
      this.reading.keepFor(lease, true)
      this.lease = undefined
      this.reading.fail()
      this.wasRead.push(this.reading.isRead)
      this.reading.drop()
    })
  }

  close(): void {
    this.closedError ??= closed
    this.steps.do(() => this.reading.fail())
  }

  /** `onInterrupt` happens in the fiber that receives. */
  receive(isUninterruptible = false, onInterrupt: () => void = () => {}): void {
    const { lease } = this
    if (lease === undefined) return
    const take = Effect.sync(() => this.reading.takeFor(lease))
    const receive: Effect.Effect<Message, ConnectionError> = withFiber((fiber, status) =>
      this.reading.receive(lease, fiber, isInterruptible(fiber, status), receive, take)
    )
    const got: Array<Message> = []
    // In the same step: behind it the message is its receiver's to lose.
    const receiving = Effect.onInterrupt(
      Effect.flatMap(receive, (message) => {
        got.push(message)
        return Effect.void
      }),
      () => Effect.sync(onInterrupt)
    )
    const fiber = this.steps.fork(isUninterruptible ? Effect.uninterruptible(receiving) : receiving)
    this.receivers.push({ lease, fiber, got })
  }

  /** One waits for a message, and is promised the one that comes. */
  promise(onInterrupt?: () => void): void {
    this.receive(false, onInterrupt)
    this.arrive()
    this.wake()
  }

  interrupt(index: number): void {
    this.steps.do(() => interruptNow(this.receivers[index % this.receivers.length]?.fiber))
  }

  /** What was received, by whichever. */
  get received(): ReadonlyArray<Message> {
    return this.receivers.flatMap(({ got }) => got)
  }
}

/** More steps than a `receive` has up to its wait. */
const steps = 12

describe("receive", () => {
  it("gets what comes between its look and its wait, where the scheduler lets others go first", () => {
    const missed: Array<number> = []
    for (let step = 0; step < steps; step++) {
      const line = new Line(atStep(step))
      line.promise()
      line.run()
      if (line.received.length === 0) missed.push(step)
    }
    assert.deepStrictEqual(missed, [])
  })

  it("fails once the lease is over, or the connection, whenever that happens", () => {
    const missed: Array<string> = []
    for (const end of ["giveBack", "close"] as const) {
      for (let step = 0; step < steps; step++) {
        const line = new Line(atStep(step))
        line.receive()
        line[end]()
        line.run()
        const exit = poll(line.receivers[0]!.fiber)
        if (exit === undefined || Exit.isSuccess(exit)) missed.push(`${end} before ${step}`)
      }
    }
    assert.deepStrictEqual(missed, [])
  })

  for (const order of ["before", "after"] as const) {
    it(`leaves what it was promised and has not taken unread, if it is interrupted right ${order} the end of the lease`, () => {
      for (let step = 0; step < steps; step++) {
        const line = new Line(atStep(step))
        line.promise()
        if (order === "before") line.interrupt(0)
        line.giveBack()
        if (order === "after") line.interrupt(0)
        line.run()
        // Where a fiber goes on at once it has taken it already, if it has not let others go first.
        const isTaken = line.received.length === 1
        assert.deepStrictEqual([line.wasRead, line.dropped], isTaken ? [[true], 0] : [[false], 1], `${step}`)
      }
    })
  }

  it("leaves it unread if its own fiber ends the lease as it is interrupted", () => {
    const line = new Line(() => false)
    line.promise(() => line.giveBack())
    line.interrupt(0)
    line.run()
    const isTaken = line.received.length === 1
    assert.deepStrictEqual([line.wasRead, line.dropped], isTaken ? [[], 0] : [[false], 1])
  })

  it("gets what it was promised, though another one ends the lease before it takes it", () => {
    for (let step = 0; step < steps; step++) {
      const line = new Line(atStep(step))
      line.promise()
      line.giveBack()
      line.run()
      const exit = poll(line.receivers[0]!.fiber)
      const isTaken = line.received.length === 1
      // Or it has not begun to wait yet.
      if (!isTaken) assert.isTrue(exit !== undefined && Exit.isFailure(exit), `${step}`)
      assert.strictEqual(line.dropped, isTaken ? 0 : 1)
    }
  })

  it("counts what it was promised once, if it is interrupted after the end of the lease", () => {
    for (let step = 0; step < steps; step++) {
      const line = new Line(atStep(step))
      line.promise()
      line.giveBack()
      line.interrupt(0)
      line.run()
      assert.strictEqual(line.received.length + line.dropped, 1, `${step}`)
    }
  })

  it("keeps its turn, though it is woken for what was another lease's", () => {
    const line = new Line(() => false)
    line.receive()
    line.arrive()
    line.giveBack()
    line.run()
    line.lend()
    line.receive()
    line.wake()
    line.receive()
    line.run()
    line.arrive()
    line.wake()
    line.run()
    assert.deepStrictEqual(
      line.receivers.slice(1).map(({ got }) => got),
      [["m2"], []]
    )
  })

  it("takes no message from who is about to take it, though another one has waited for it that was interrupted", () => {
    for (let step = 0; step < steps; step++) {
      let mayYield = () => false
      const line = new Line(() => mayYield())
      line.receive()
      line.arrive()
      line.interrupt(0)
      line.run()
      mayYield = atStep(step)
      line.receive()
      line.wake()
      line.receive()
      line.run()
      const exits = line.receivers.slice(1).map(({ fiber }) => poll(fiber))
      // One has it, and the other one is told so, or waits.
      assert.strictEqual(exits.filter((exit) => exit !== undefined && Exit.isSuccess(exit)).length, 1, `${step}`)
      assert.deepStrictEqual(line.received, ["m1"])
    }
  })

  it("loses nothing, and gets nothing of another lease, whatever happens in between", () => {
    const event = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant("arrive" as const) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant("wake" as const) }) },
      { weight: 8, arbitrary: fc.record({ do: fc.constant("run" as const), steps: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant("receive" as const), isFirm: fc.boolean() }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("interrupt" as const), index: fc.nat(5) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("giveBack" as const) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("lend" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const) }) }
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.array(fc.boolean(), { maxLength: 40 }), (events, yields) => {
        let asked = 0
        const line = new Line(() => yields[asked++] === true)
        for (const event of events) {
          if (event.do === "run") line.run(event.steps)
          else if (event.do === "receive") line.receive(event.isFirm)
          else if (event.do === "interrupt") line.interrupt(event.index)
          else line[event.do]()
        }
        line.wake()
        line.run()

        const { owners, reading, received } = line
        for (const { fiber, got, lease } of line.receivers) {
          const mayWait = line.lease === lease && line.closedError === undefined && reading.length === 0
          assert.isTrue(poll(fiber) !== undefined || mayWait, "waits for what is there, or never comes")
          for (const message of got) assert.strictEqual(owners.get(message), lease, "of another lease")
        }
        assert.strictEqual(new Set(received).size, received.length, "received twice")
        assert.strictEqual(received.length + line.dropped + reading.length, owners.size, "lost")
        assert.isFalse(line.isPaused && reading.weight <= line.receiveBuffer / 2, "paused for nothing")
      }),
      { numRuns: 10_000 }
    )
  })
})
