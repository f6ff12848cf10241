import { type Fork, interrupt } from "#dialect"
import { thrown } from "#edition/messages/parseFailure"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import type { Tenancy } from "../connection/tenancy.js"
import type { Driver } from "../core/driver.js"
import type { Outcome, Slot, Waiter } from "../core/slot.js"
import { SlotPool } from "../core/slotPool.js"
import type { Timer, Timers } from "../core/timers.js"
import { shortestLife } from "../core/upkeep.js"
import type { Backstage } from "../pool/backstage.js"
import { PoolClosedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { RequestError, WideCodec } from "./api.js"
import type { Call, Keeper } from "./call.js"
import { Notices, type OnNotice } from "./notices.js"
import { Session, type SessionHost } from "./session.js"
import type { RequestSettings } from "./settings.js"
import type { Tally } from "./tally.js"

/** What all the homes of a multiplexer share. */
export interface Estate<Request, Item, E> {
  readonly settings: RequestSettings
  /** Makes the codec of one lease of a connection. */
  readonly codec: (connection: object) => WideCodec<Request, Item, E>
  readonly onNotice: OnNotice | undefined
  /** Sees each notice at once, before `onNotice` does. */
  readonly listen: ((value: unknown, connectionId: string) => void) | undefined
  readonly pool: Backstage
  readonly tally: Tally
  readonly fork: Fork
  readonly random: () => number
  readonly homes: Set<Home<Request, Item, E>>
  /** Handlers of notices that run. */
  readonly handlers: Set<Fiber.Fiber<unknown, unknown>>
  /** A home that was closed is empty. */
  readonly onEmpty: () => void
}

/** Which connections a home has: those of all requests, one that is given, or one for a single stream. */
export type Kind = { readonly _tag: "Shared" | "Exclusive" } | { readonly _tag: "Pinned"; readonly tenancy: Tenancy }

type Failure<E> = E | RequestError
type Place<Request, Item, E> = Slot<Session<Request, Item, E>, Failure<E>>

const renewals: ReadonlySet<CloseReason> = new Set(["Expired", "Refreshed", "Evicted", "Discarded", "Closed"])

const once = { min: 0, max: 1, concurrency: 1, targetUtilization: 1, idleTimeout: Number.POSITIVE_INFINITY }

/**
 * Sessions, and the calls that wait for a place on one. It is the core, whose items are sessions, each with room for
 * `concurrency` leases: so the line, the hand-off, utilisation and idling are those of every pool here.
 */
export class Home<Request, Item, E>
  implements
    Driver<Session<Request, Item, E>, Failure<E>>,
    SessionHost<Request, Item, E>,
    Keeper<Request, Item, E>,
    Timer
{
  readonly core: SlotPool<Session<Request, Item, E>, Failure<E>>
  readonly timers: Timers
  readonly tally: Tally
  readonly concurrency: number
  readonly retireTimeout: number
  readonly isExclusive: boolean
  private readonly waiters = new WeakMap<Call<Request, Item, E>, Waiter<Session<Request, Item, E>, Failure<E>>>()
  private readonly creations = new Map<Place<Request, Item, E>, Fiber.Fiber<unknown, unknown>>()
  /** Sessions that have not been started yet: one may be opened while another is handed out. */
  private readonly fresh = new Set<Session<Request, Item, E>>()
  /** Why a pinned connection takes no more. */
  private gone: Exit.Exit<never, Failure<E>> | undefined = undefined

  // Its timer is the end of what may go on while it closes.
  due = 0
  position = -1

  constructor(
    private readonly estate: Estate<Request, Item, E>,
    private readonly kind: Kind
  ) {
    const { homes, pool, settings, tally } = estate
    this.timers = pool.timers
    this.tally = tally
    this.retireTimeout = settings.retireTimeout
    this.isExclusive = kind._tag === "Exclusive"
    const limits =
      kind._tag === "Shared" ? settings : { ...once, concurrency: this.isExclusive ? 1 : settings.concurrency }
    this.concurrency = limits.concurrency
    this.core = new SlotPool(
      {
        ...limits,
        maxWaiters: pool.settings.maxWaiters,
        isRenewal: (reason, lasted) => renewals.has(reason) && lasted >= shortestLife
      },
      this,
      this.timers
    )
    homes.add(this)
  }

  start(): void {
    const { core } = this
    // A pinned connection has its session before its first request: that notices when it retires or is lost, and gives it back.
    if (this.kind._tag === "Pinned") core.resize(1, core.max)
    core.resize(this.kind._tag === "Pinned" ? 0 : core.min, core.max)
  }

  get sessions(): ReadonlyArray<Session<Request, Item, E>> {
    return Array.from(this.core.slots, ({ item, state }) => (state === "creating" ? undefined : item)).filter(
      (session) => session !== undefined
    )
  }

  // Calls

  begin(call: Call<Request, Item, E>): void {
    const slot = this.core.tryLease()
    if (slot === undefined) this.queue(call)
    else this.take(call, slot)
  }

  private queue(call: Call<Request, Item, E>, before?: Waiter<Session<Request, Item, E>, Failure<E>>): void {
    call.keeper = this
    call.state = "waiting"
    call.turns += 1
    const turn = call.turns
    const take = (outcome: Outcome<Session<Request, Item, E>, Failure<E>>): void => {
      // All of them are, here: see what the core asks.
      const exit = outcome as Exit.Exit<Place<Request, Item, E>, Failure<E>>
      if (Exit.isFailure(exit)) call.end(Exit.failCause(exit.cause))
      else this.take(call, exit.value)
    }
    const since = before?.request.since ?? this.timers.now()
    const waiter = this.core.join({ fresh: false, since, deadline: call.deadline }, before)
    waiter.tell({ onSettled: (_, outcome) => take(outcome) })
    // It may have been served inside of that, and have joined again.
    if (call.turns === turn && call.state === "waiting") this.waiters.set(call, waiter)
  }

  /** The hand-off is over when the message is with the socket: nobody comes in between. */
  private take(call: Call<Request, Item, E>, slot: Place<Request, Item, E>): void {
    const session = slot.item
    this.started(session)
    if (this.core.fitness(slot) === "Fit") {
      session.begin(call)
      return
    }
    // It has ended, or will not be lent any more, and this is news to the core.
    const before = this.waiters.get(call)
    if (!session.isOpen) session.retire("Remote")
    this.again(call, session, before)
    // Not before it is back in line, or the place would go to somebody who came later.
    this.core.release(slot, true)
  }

  /** Once is bad luck; twice, with connections made just now, is a server that ends whatever is opened. */
  private again(
    call: Call<Request, Item, E>,
    session: Session<Request, Item, E>,
    before?: Waiter<Session<Request, Item, E>, Failure<E>>
  ): void {
    if (session.isStillborn) call.stillborn += 1
    if (call.stillborn >= 2) call.end(Exit.fail(session.failure))
    else this.queue(call, before)
  }

  resend(call: Call<Request, Item, E>, session: Session<Request, Item, E>): void {
    this.tally.resent += 1
    this.again(call, session)
  }

  abandon(call: Call<Request, Item, E>): void {
    call.state = "over"
    const waiter = this.waiters.get(call)
    if (waiter !== undefined) this.core.abandon(waiter)
  }

  consumed(): void {}

  // What sessions say

  readonly later = (f: () => void): void => {
    this.estate.fork(Effect.sync(f), { immediate: false })
  }

  freed({ slot }: Session<Request, Item, E>): void {
    this.core.release(slot)
  }

  retired(session: Session<Request, Item, E>, reason: CloseReason): void {
    this.leaves(session)
    this.core.doom(session.slot, reason)
  }

  lost(session: Session<Request, Item, E>): void {
    this.leaves(session)
    session.release(() => this.core.lose(session.slot))
  }

  private leaves(session: Session<Request, Item, E>): void {
    if (this.kind._tag !== "Pinned" || this.gone !== undefined) return
    this.gone = Exit.fail(session.error)
    this.core.refuse()
  }

  noticesOf(session: Session<Request, Item, E>): ((value: unknown) => void) | undefined {
    const { fork, listen, onNotice, tally } = this.estate
    const { id } = session.tenancy
    if (onNotice === undefined) return listen && ((value) => listen(value, id))
    const queue = new Notices(id, onNotice, fork, this.track, () => tally.missed("lagged"))
    return (value) => {
      listen?.(value, id)
      queue.add(value)
    }
  }

  private readonly track = (fiber: Fiber.Fiber<unknown, unknown>): void => {
    const { handlers } = this.estate
    handlers.add(fiber)
    fiber.addObserver(() => handlers.delete(fiber))
  }

  run(effect: Effect.Effect<void>): Fiber.Fiber<unknown, unknown> {
    const fiber = this.estate.fork(Effect.interruptible(effect), { immediate: false })
    this.track(fiber)
    return fiber
  }

  rested({ slot }: Session<Request, Item, E>): void {
    this.core.rest(slot)
  }

  // What the core asks

  create(slot: Place<Request, Item, E>): void {
    if (this.kind._tag === "Pinned") {
      if (this.gone === undefined) this.opened(slot, this.kind.tenancy)
      else this.core.failed(slot, this.gone)
      return
    }
    const { pool } = this.estate
    const deadline = slot.starter?.request.deadline ?? this.timers.now() + pool.settings.acquireTimeout
    const fiber = this.estate.fork(
      Effect.uninterruptible(
        Effect.matchCause(pool.rent(Effect.interruptible, deadline), {
          onFailure: (cause) => {
            this.creations.delete(slot)
            this.core.failed(slot, Cause.hasInterruptsOnly(cause) ? this.poolClosed() : Exit.failCause(cause))
            if (pool.core.state !== "open") this.close()
          },
          onSuccess: (tenancy) => {
            this.creations.delete(slot)
            this.opened(slot, tenancy)
          }
        })
      )
    )
    if (slot.state === "creating") this.creations.set(slot, fiber)
  }

  private opened(slot: Place<Request, Item, E>, tenancy: Tenancy): void {
    let codec: WideCodec<Request, Item, E>
    try {
      codec = this.estate.codec(tenancy.connection)
    } catch (error) {
      const failure = Exit.fail(thrown("codec, given", undefined, error))
      // A pinned connection is given back for good: from then on it may be somebody else's.
      if (this.kind._tag === "Pinned") this.gone = failure
      tenancy.release(false)
      this.core.failed(slot, failure)
      return
    }
    const session: Session<Request, Item, E> = new Session(slot, tenancy, codec, this)
    this.fresh.add(session)
    this.core.created(slot, session, !tenancy.isOpen)
    this.started(session)
  }

  /** Whoever has waited for it may be served before it is known here. What its server has said by then comes first. */
  private started(session: Session<Request, Item, E>): void {
    if (this.fresh.delete(session)) session.start()
  }

  abort(slot: Place<Request, Item, E>): void {
    const fiber = this.creations.get(slot)
    if (fiber !== undefined) interrupt(fiber)
  }

  /** A place in the pool that comes free is worth standing in line for only if somebody waits here, and only once. */
  mayCreate(): boolean {
    const { core } = this.estate.pool
    if (core.state !== "open") return true
    const isFree = core.waiting === 0 && (core.slots.size < core.max || core.count.idle > 0)
    return isFree || (this.creations.size === 0 && (this.core.waiting > 0 || this.core.kept < this.core.min))
  }

  /** Connections that are being opened serve who waits here; at the limit of the pool none is, and others wait for its places, too. */
  coming(): number {
    const { core } = this.estate.pool
    const arriving = core.count.creating + core.count.checking + core.count.idle + core.count.closing
    const standing = this.creations.size
    if (arriving > 0 || core.slots.size < core.max) return standing * this.concurrency
    return Math.min(0, standing - core.waiting)
  }

  isUsable({ item }: Place<Request, Item, E>): boolean {
    return item.isOpen
  }

  isClogged({ item }: Place<Request, Item, E>): boolean {
    return item.tenancy.isClogged
  }

  isOccupied({ item }: Place<Request, Item, E>): boolean {
    return item.isOccupied
  }

  needsCheck(): boolean {
    return false
  }

  check(): void {}

  settle(): void {}

  released({ item }: Place<Request, Item, E>): "Reuse" | CloseReason {
    return item.isOpen ? "Reuse" : "Remote"
  }

  refused(slot: Place<Request, Item, E>): "Reuse" | CloseReason {
    return this.released(slot)
  }

  destroy(slot: Place<Request, Item, E>): void {
    const session = slot.item
    this.leaves(session)
    session.release(() => this.core.closed(slot))
  }

  lifetime(): number {
    return Number.POSITIVE_INFINITY
  }

  refusal(): Outcome<Session<Request, Item, E>, Failure<E>> | undefined {
    if (this.estate.pool.core.state !== "open") return this.poolClosed()
    return this.gone
  }

  timedOut(waiter: Waiter<Session<Request, Item, E>, Failure<E>>): Outcome<Session<Request, Item, E>, Failure<E>> {
    const { pool } = this.estate
    const waited = this.timers.now() - waiter.request.deadline + pool.settings.acquireTimeout
    const { count, max, slots } = pool.core
    const isFull = slots.size >= max && count.leased + count.checking + count.releasing > 0
    return Exit.fail(pool.overdue(waited, isFull || this.core.slots.size - this.core.count.creating >= this.core.max))
  }

  tooManyWaiters(): Outcome<Session<Request, Item, E>, Failure<E>> {
    return Exit.fail(this.estate.pool.tooManyWaiters())
  }

  poolClosed(): Exit.Exit<never, PoolClosedError> {
    return Exit.fail(new PoolClosedError({ pool: this.estate.pool.settings.name }))
  }

  random(): number {
    return this.estate.random()
  }

  vacated(): void {
    if (this.core.slots.size > 0) return
    this.timers.clear(this)
    this.estate.homes.delete(this)
    this.estate.onEmpty()
  }

  // The end

  get isClosing(): boolean {
    return this.core.state !== "open"
  }

  /** Begins no more calls. What is under way has `shutdownTimeout`. */
  close(): void {
    if (this.isClosing) return
    this.timers.set(this, this.timers.now() + this.estate.pool.settings.shutdownTimeout)
    this.core.shutdown()
    for (const session of this.sessions) session.retire("Shutdown")
  }

  onDue(): void {
    for (const session of this.sessions) session.giveBack()
  }
}
