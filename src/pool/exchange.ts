import { afterwards, currentFiber, interruptionOf, spanIn } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import type { AnySpan } from "#effect/Tracer"
import type { Kept } from "../connection/holder.js"
import type { Link } from "../connection/link.js"
import { isReceiving, type Reader } from "../connection/reading.js"
import type { Sender } from "../connection/sending.js"
import { accept } from "../core/leasing.js"
import { List, Place as ListPlace, unlink } from "../core/list.js"
import type { Outcome, Waiter, WaiterListener } from "../core/slot.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timer, Timers } from "../core/timers.js"
import type { Site } from "../observe/leakSites.js"
import type { AcquireError, ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { Leaseholder, Leases } from "./leases.js"
import type { Place } from "./tasks.js"

/**
 * How often the pool looks for exchanges whose fibers were interrupted, in milliseconds. An interruption is noticed within
 * 100 ms, the millisecond to which the pool's clock is rounded up included.
 */
const sweepInterval = 99

type Answer = Effect.Effect<Message, AcquireError | ConnectionError>

/**
 * One `ask`: a lease without a fiber. Its fiber waits once, for the outcome. The exchange does the rest in the steps of
 * those who call it: the core, the link, and the sweep.
 *
 * | state | owns | goes on when | interrupted, it |
 * |---|---|---|---|
 * | waiting | a waiter in line | `onSettled`: sending, waiting again, or over with the pool's error | leaves the line, or refuses the grant |
 * | sending | a lease, the message in the link's queue | `sent`: receiving; `refuse`: over with the link's error | gives the connection back as it was |
 * | receiving | a lease, the link's reader | `wake`, `fail`: over with the reply or the link's error | ends the lease as failed |
 * | over | nothing | | |
 *
 * Nobody cancels an exchange. Whoever calls it finds out by its fiber that it was interrupted, before a message is written
 * or a reply taken, and the sweep finds those that nobody calls. A fiber that was interrupted takes no notice of the outcome.
 *
 * What ends an exchange ends its lease in the same step, before the fiber goes on. A link that fails calls `refuse` and
 * `fail` in the middle of its own end: the exchange looks again a microtask later, when the pool knows of it, too.
 */
export class Exchange
  extends ListPlace<Exchange>
  implements Leaseholder, Reader, Sender, WaiterListener<Link, AcquireError>
{
  state: "waiting" | "sending" | "receiving" | "over" = "waiting"
  since = 0
  kept: Kept | undefined = undefined
  readonly isDiscarded = false
  private waiter: Waiter<Link, AcquireError> | undefined = undefined
  private slot: Place | undefined = undefined
  private outcome: Answer | undefined = undefined
  private resume: ((answer: Answer) => void) | undefined = undefined

  constructor(
    private readonly exchanges: Exchanges,
    readonly message: Message,
    readonly fiber: Fiber.Fiber<unknown, unknown>,
    readonly isInterruptible: boolean,
    /** When it was asked for. */
    private readonly asked: number,
    /** Where, if somebody looks for leaks. */
    private readonly site: Site | undefined
  ) {
    super()
  }

  get lease(): this {
    return this
  }

  /** Its fiber waits for it, and stays in this span. */
  get span(): AnySpan | undefined {
    return spanIn(this.fiber)
  }

  get isWithdrawn(): boolean {
    return !isReceiving(this)
  }

  // What its fiber calls

  /** Stands in line, until `deadline`. */
  wait(deadline: number): Answer {
    this.exchanges.enter(this)
    this.await(this.exchanges.pool.join({ fresh: false, since: this.asked, deadline }))
    return this.answer
  }

  /** Goes on with the slot that was leased for it. */
  begin(slot: Place, now: number): Answer {
    this.exchanges.enter(this)
    this.start(slot, now)
    return this.answer
  }

  /** The same, unless its fiber was interrupted since it has got it. */
  accept(slot: Place): Answer {
    if (!this.isWithdrawn) return this.begin(slot, this.exchanges.timers.now())
    this.exchanges.pool.release(slot, true)
    return Effect.interrupt
  }

  private get answer(): Answer {
    return this.outcome ?? this.exchanges.waitFor(this)
  }

  /** Its fiber waits for the outcome. To be interrupted is all that it takes to give it up. */
  awaited(resume: (answer: Answer) => void): void {
    if (this.outcome === undefined) this.resume = resume
    else resume(this.outcome)
  }

  // In line

  private await(waiter: Waiter<Link, AcquireError>): void {
    this.waiter = waiter
    waiter.tell(this)
  }

  onSettled(waiter: Waiter<Link, AcquireError>, outcome: Outcome<Link, AcquireError>): void {
    // Given up in between: then the grant is refused already.
    if (this.state === "over") return
    const { pool } = this.exchanges
    const { granted } = waiter
    this.waiter = undefined
    if (granted === undefined) {
      this.over()
      // It fails, or there would be a slot.
      this.tell(outcome as Effect.Effect<never, AcquireError>)
      return
    }
    if (this.isWithdrawn) {
      this.over()
      pool.release(granted, true)
      return
    }
    const again = accept(pool, waiter, granted)
    if (again === undefined) this.start(granted, this.exchanges.timers.now())
    else this.await(again)
  }

  // With a lease

  private start(slot: Place, now: number): void {
    const { leases } = this.exchanges
    this.slot = slot
    this.since = now
    this.state = "sending"
    leases.begin(slot, this, this.asked, this.fiber)
    if (this.site !== undefined) this.exchanges.locate(slot.item.id, this.site)
    try {
      slot.item.post(this, now)
    } catch (defect) {
      // A transport is somebody else's.
      this.fails(Exit.die(defect), Effect.die(defect))
    }
  }

  sent(): void {
    this.state = "receiving"
    // What was there before is the greeting of a connection that was never leased.
    this.receive(false)
  }

  wake(): void {
    this.look(true)
  }

  fail(): void {
    queueMicrotask(() => this.look(false))
  }

  refuse(): void {
    this.fail()
  }

  private look(isDirect: boolean): void {
    if (this.state === "over") return
    if (this.isWithdrawn) this.interrupted()
    else this.receive(isDirect)
  }

  /** `isDirect` says that nobody is in the middle of anything: the fiber may go on inside of the call. */
  private receive(isDirect: boolean): void {
    const link = this.slot!.item
    const news = this.state === "sending" ? link.endError : link.inbox.look(this)
    if (news === undefined) return
    if (news !== "Message") {
      this.fails(Exit.fail(news), Effect.fail(news))
      return
    }
    const reply = Exit.succeed(link.inbox.takeFor(this))
    // What it has waited for has come just now, with nothing in between.
    this.end(reply, isDirect ? Math.max(link.messageAt, this.since) : undefined)
    if (isDirect && this.resume !== undefined) this.resume(reply)
    else this.tell(reply)
  }

  private fails(exit: Exit.Exit<never, ConnectionError>, answer: Effect.Effect<never, ConnectionError>): void {
    if (this.state === "over") return
    this.end(exit)
    this.tell(answer)
  }

  // Ends

  /** Its fiber was interrupted. */
  interrupted(): void {
    const { state, waiter } = this
    if (state === "waiting") {
      this.over()
      if (waiter !== undefined) this.exchanges.pool.abandon(waiter)
    } else if (state !== "over") {
      this.end(state === "sending" ? undefined : Exit.failCause(interruptionOf(this.fiber)))
    }
  }

  private end(exit: Exit.Exit<Message, ConnectionError> | undefined, now?: number): void {
    this.over()
    this.exchanges.leases.end(this.slot!, this, exit, now)
  }

  private over(): void {
    this.state = "over"
    unlink<Exchange>(this)
  }

  private tell(answer: Answer): void {
    const { resume } = this
    if (resume === undefined) this.outcome = answer
    else afterwards(() => resume(answer))
  }
}

/** The exchanges of a pool that are not over, and the sweep for those that nobody waits for any more. */
export class Exchanges implements Timer {
  private readonly underWay = new List<Exchange>()
  /** The one whose fiber will wait in its next step. */
  private next: Exchange | undefined = undefined
  /** Those whose fibers let others go first there. */
  private readonly late = new WeakMap<Fiber.Fiber<unknown, unknown>, Exchange>()

  /** One effect for all: to make one for each would take as much memory as the rest of an exchange. */
  private readonly wait: Answer = Effect.callback((resume) => {
    const fiber = currentFiber()!
    const { next } = this
    if (next?.fiber === fiber) {
      this.next = undefined
      next.awaited(resume)
      return
    }
    const exchange = this.late.get(fiber)!
    this.late.delete(fiber)
    exchange.awaited(resume)
  })

  due = 0
  position = -1

  constructor(
    readonly pool: SlotPool<Link, AcquireError>,
    readonly timers: Timers,
    readonly leases: Leases,
    /** Tells where the lease of a connection was asked for. */
    readonly locate: (id: string, site: Site) => void
  ) {}

  /** It has to go on in the same step: from here on the sweep gives up what its fiber has left. */
  enter(exchange: Exchange): void {
    this.underWay.push(exchange)
    // It stays armed while exchanges come and go, and finds out by itself that none is left.
    if (this.position === -1) this.timers.set(this, this.timers.now() + sweepInterval)
  }

  /** Waits for the outcome of an exchange, whose fiber has to do so next. */
  waitFor(exchange: Exchange): Answer {
    const { next } = this
    if (next?.isWithdrawn === false) this.late.set(next.fiber, next)
    this.next = exchange
    return this.wait
  }

  onDue(): void {
    // Giving one up lets others go on, and leave the list.
    const left: Array<Exchange> = []
    for (let one = this.underWay.first; one !== undefined; one = one.after) if (one.isWithdrawn) left.push(one)
    for (const one of left) one.interrupted()
    // It was interrupted right before its wait.
    if (this.next?.isWithdrawn === true) this.next = undefined
    const isNeeded = this.underWay.length > 0 || this.next !== undefined
    if (isNeeded) this.timers.set(this, this.timers.now() + sweepInterval)
  }
}
