import * as Exit from "#effect/Exit"
import type { Tenancy } from "../connection/tenancy.js"
import type { Slot } from "../core/slot.js"
import type { Timer, Timers } from "../core/timers.js"
import { ConnectionClosedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import { isMessage, type Message } from "../values/message.js"
import type { WideCodec } from "./api.js"
import type { Call, Failure, Keeper, StreamCall } from "./call.js"
import { Duties, type DutyHost } from "./duties.js"
import { Ghosts } from "./ghosts.js"
import { GuardedCodec } from "./guarded.js"
import type { Aside, Incoming, Nothing } from "./incoming.js"
import type { Tally } from "./tally.js"

/** What a session needs to know, and tells. */
export interface SessionHost<Request, Item, E> extends DutyHost {
  readonly timers: Timers
  readonly tally: Tally
  /** How many calls it carries at once, and how many tasks. */
  readonly concurrency: number
  readonly retireTimeout: number
  /** Whether it is all one stream's, whose reader holds the server back. */
  readonly isExclusive: boolean
  /** One of its places is free. */
  readonly freed: (session: Session<Request, Item, E>) => void
  /** It gets no new request: it is given back once it is empty. */
  readonly retired: (session: Session<Request, Item, E>, reason: CloseReason) => void
  /** It has ended by itself, its places are gone. */
  readonly lost: (session: Session<Request, Item, E>) => void
  /** The socket has not taken this one. */
  readonly resend: (call: Call<Request, Item, E>, session: Session<Request, Item, E>) => void
  /** The server waits for nothing any more. */
  readonly rested: (session: Session<Request, Item, E>) => void
  /** Where the notices of a session go, if anywhere. */
  readonly noticesOf: (session: Session<Request, Item, E>) => ((value: unknown) => void) | undefined
}

const ignore = (): void => {}

/** One leased connection, and the calls that it carries. Each call takes a place until its answer has come. */
export class Session<Request, Item, E> implements Keeper<Request, Item, E>, Timer {
  state: "open" | "retiring" | "over" = "open"
  readonly calls = new Map<number, Call<Request, Item, E>>()
  abandoned = 0
  private lastId = 0
  private readonly ghosts = new Ghosts()
  /** What the server has said of calls that it could not name. */
  private readonly refusals: Array<E> = []
  private isUnfit = false
  private hasSpoken = false
  private readonly codec: GuardedCodec<Request, Item, E>
  private readonly duties: Duties
  /** Told once it is given back, if that waits for what the server is owed. */
  private onceReleased: (() => void) | undefined = undefined
  private notice: ((value: unknown) => void) | undefined = undefined

  // Its timer is the end of what may go on while it retires.
  due = 0
  position = -1

  constructor(
    readonly slot: Slot<Session<Request, Item, E>, Failure<E>>,
    readonly tenancy: Tenancy,
    codec: WideCodec<Request, Item, E>,
    private readonly host: SessionHost<Request, Item, E>
  ) {
    this.codec = new GuardedCodec(codec)
    this.duties = new Duties(tenancy, host, this.wake, () => this.rest())
  }

  /** Whether the server waits for something. */
  get isOccupied(): boolean {
    return !this.duties.isDone
  }

  get isOpen(): boolean {
    return this.state !== "over" && this.tenancy.isOpen
  }

  /** Whether it was of no use: the server has ended it, or will have no request on it, before it could answer one. */
  get isStillborn(): boolean {
    return this.lastId === 0 ? this.isUnfit || !this.isOpen : !this.hasSpoken && !this.isOpen
  }

  start(): void {
    this.tenancy.onceRetiring((reason) => this.retire(reason))
    this.read()
  }

  // Calls

  begin(call: Call<Request, Item, E>): void {
    this.lastId += 1
    const id = this.lastId
    const encoded = this.codec.encode(id, call.request)
    if (!isMessage(encoded)) {
      call.end(encoded)
      this.host.freed(this)
      return
    }
    call.id = id
    call.keeper = this
    // Before it is sent: a server may be fast.
    this.calls.set(id, call)
    call.state = "queued"
    call.sender = this.tenancy.offer(encoded, (isTaken) => {
      call.sender = undefined
      if (call.state !== "queued") return
      if (isTaken) this.sent(call)
      else call.state = "unsent"
    })
    if (call.sender === undefined) this.sent(call)
    else this.codec.waits()
  }

  private sent(call: Call<Request, Item, E>): void {
    call.state = "sent"
    if (!call.isOneWay) return
    this.drop(call)
    call.end(Exit.void)
  }

  abandon(call: Call<Request, Item, E>): void {
    if (call.state !== "sent") {
      this.withdraw(call)
      call.state = "over"
      this.drop(call)
      return
    }
    this.host.tally.cancelled += 1
    this.giveUp(call)
  }

  /** Nobody waits any more for what the socket has taken. */
  private giveUp(call: Call<Request, Item, E>): void {
    call.state = "over"
    const isShared = this.codec.leaves(call.id)
    const cancel = this.tenancy.isOpen && !isShared ? this.codec.cancel(call.id) : undefined
    if (cancel !== undefined) {
      this.tenancy.offer(cancel, ignore)
      this.ghosts.add(call.id, call.isStream)
    }
    if (isShared || cancel !== undefined) this.drop(call)
    else {
      call.isAbandoned = true
      this.abandoned += 1
      if (this.abandoned === this.host.concurrency) this.retire("Discarded")
      this.endIfDeserted()
    }
  }

  /** Takes back what the socket has not taken, and says whether it could. */
  private withdraw({ id, sender }: Call<Request, Item, E>): boolean {
    const isWithdrawn = sender !== undefined && this.tenancy.withdraw(sender)
    if (isWithdrawn) this.codec.withdrawn(id)
    return isWithdrawn
  }

  consumed(call: Call<Request, Item, E>, isDrained: boolean): void {
    const ack = isDrained && call.state === "sent" ? this.codec.ack(call.id) : undefined
    if (ack !== undefined) this.duties.say(ack, false)
    if (this.host.isExclusive) this.read()
  }

  /** A call leaves its place. */
  private drop(call: Call<Request, Item, E>): void {
    this.calls.delete(call.id)
    if (call.isAbandoned) this.abandoned -= 1
    this.host.freed(this)
    this.settleRefusals()
    this.endIfDeserted()
  }

  /** A call has come to its end: it is told once its place is free. */
  private finish(call: Call<Request, Item, E>, exit: Exit.Exit<Item | Nothing, Failure<E>>): void {
    this.host.tally.answers += 1
    this.drop(call)
    call.end(exit)
  }

  // What comes

  private readonly wake = (): void => this.read()

  private read(): void {
    if (this.state === "over") return
    while (this.mayRead && this.tenancy.unread > 0) {
      if (this.host.isExclusive) this.receive(this.tenancy.take())
      else for (const message of this.tenancy.takeAll()) this.receive(message)
      if (this.isGivenBack) return
    }
    if (this.tenancy.hasEnded && this.tenancy.unread === 0) this.host.later(() => this.end())
    else if (this.mayRead) this.tenancy.listen(this.wake)
  }

  /** What `receive` may have made of it. */
  private get isGivenBack(): boolean {
    return this.state === "over"
  }

  /** The one stream of an exclusive connection, and whoever does not take its answers, leave the rest to the socket. */
  private get mayRead(): boolean {
    if (this.duties.isStalled) return false
    if (!this.host.isExclusive) return true
    for (const { isAbandoned, isFull } of this.calls.values()) if (isFull && !isAbandoned) return false
    return true
  }

  private receive(message: Message): void {
    if (this.state === "over") return
    this.hasSpoken = true
    const incoming = this.codec.decode(message)
    if (incoming === undefined) this.breach()
    else for (const one of incoming) if (!this.isGivenBack) this.on(one)
  }

  private on(incoming: Incoming<Item, E> | Aside): void {
    switch (incoming._tag) {
      case "Item":
      case "End": {
        const call = this.calls.get(incoming.id)
        if (call === undefined || call.isAbandoned) this.unmatched(incoming.id, call, incoming._tag === "End")
        else if (incoming._tag === "End") this.finish(call, incoming.exit)
        else if (call.isStream) this.push(call as StreamCall<Request, Item, E>, incoming.value)
        else this.finish(call, Exit.succeed(incoming.value))
        break
      }
      case "Refused":
        this.refusals.push(incoming.error)
        this.isUnfit = true
        this.retire("Discarded")
        this.settleRefusals()
        break
      case "Notice":
        this.host.tally.notices += 1
        if (incoming.reply !== undefined) this.duties.say(incoming.reply)
        this.notice ??= this.host.noticesOf(this) ?? ignore
        this.notice(incoming.value)
        break
      case "Retire":
        this.isUnfit = true
        this.retire("Discarded")
        break
      case "Settled": {
        const call = this.calls.get(incoming.id)
        const isAwaited = this.ghosts.answered(incoming.id, true)
        if (call?.isAbandoned) this.drop(call)
        else if (isAwaited) this.settleRefusals()
        else this.host.tally.missed("unmatched")
        break
      }
      case "Reply":
        this.duties.say(incoming.message)
        break
      case "Task":
        this.duties.add(incoming)
    }
  }

  private push(call: StreamCall<Request, Item, E>, value: Item): void {
    const outcome = call.push(value, !this.host.isExclusive)
    if (outcome === "Kept") return
    this.host.tally.missed("lagged")
    if (outcome === "Slid") return
    this.giveUp(call)
    call.lag(this.tenancy.id)
  }

  private unmatched(id: number, call: Call<Request, Item, E> | undefined, isLast: boolean): void {
    this.host.tally.missed("unmatched")
    this.ghosts.answered(id, isLast)
    if (call !== undefined && (isLast || !call.isStream)) this.drop(call)
    else this.settleRefusals()
  }

  /** When no more are unanswered than were refused, cancelled ones included, it is clear which those were. */
  private settleRefusals(): void {
    if (this.refusals.length === 0 || this.state === "over") return
    if (this.calls.size + this.ghosts.unanswered > this.refusals.length) return
    this.endAll(() => Exit.fail(this.refusals[0]!))
  }

  // Ends

  /** It gets no new request, and goes back with its last answer, or after `retireTimeout`. */
  retire(reason: CloseReason): void {
    if (this.state !== "open") return
    this.state = "retiring"
    this.host.timers.set(this, this.host.timers.now() + this.host.retireTimeout)
    this.host.retired(this, reason)
    this.endIfDeserted()
  }

  onDue(): void {
    this.giveBack()
  }

  /** Ends whatever is under way. */
  giveBack(): void {
    if (this.state === "over") return
    this.endDuties()
    this.endAll(() => Exit.fail(this.failure))
    this.rest()
  }

  /** What the server has said of it, or else how it has ended. */
  get failure(): Failure<E> {
    return this.refusals.length > 0 ? this.refusals[0]! : this.error
  }

  /** What a call fails with that it cannot carry, or carry on. */
  get error(): ConnectionClosedError {
    const { closedBy, id } = this.tenancy
    return closedBy ?? new ConnectionClosedError({ connectionId: id, code: 1000, reason: "", initiator: "Pool" })
  }

  private endIfDeserted(): void {
    const isDeserted = this.abandoned > 0 && this.abandoned === this.calls.size
    if (this.state === "retiring" && isDeserted && !this.isOccupied) this.giveBack()
  }

  /** All of its calls end, and it leaves their places. */
  private endAll(exitOf: () => Exit.Exit<never, Failure<E>>): void {
    if (this.state === "over") return
    this.retire("Discarded")
    if (this.isGivenBack) return
    const calls = this.leave()
    for (const call of calls) this.conclude(call, exitOf)
    for (const _ of calls) this.host.freed(this)
  }

  /** Takes its calls from it. It goes on as long as the server waits for something. */
  private leave(): ReadonlyArray<Call<Request, Item, E>> {
    if (!this.isOccupied) this.over()
    const calls = Array.from(this.calls.values())
    for (const { state, isAbandoned } of calls) if (state === "sent" || isAbandoned) this.isUnfit = true
    this.calls.clear()
    this.abandoned = 0
    return calls
  }

  private conclude(call: Call<Request, Item, E>, exitOf: () => Exit.Exit<never, Failure<E>>): void {
    if (call.state === "queued" && this.withdraw(call)) call.state = "unsent"
    if (call.state === "unsent" || call.state === "queued") this.host.resend(call, this)
    else call.end(exitOf())
  }

  /** The connection has ended: those that it has taken fail, the others go over the next one. */
  private end(): void {
    if (this.state === "over") return
    const { error } = this
    this.endDuties()
    const calls = this.leave()
    if (this.onceReleased === undefined) this.host.lost(this)
    else this.rest()
    for (const call of calls) this.conclude(call, () => Exit.fail(error))
  }

  /** What the server says cannot be understood. */
  private breach(): void {
    this.tenancy.breach("message not understood")
    this.end()
  }

  /**
   * No call is left of it for this holder: it is given back, once the server waits for nothing either. It is for the next
   * holder only if nothing is unanswered.
   */
  release(done: () => void): void {
    this.onceReleased = done
    if (this.isOccupied) this.retire("Discarded")
    else this.rest()
  }

  /** The server waits for nothing. */
  private rest(): void {
    const { onceReleased } = this
    if (onceReleased === undefined) {
      this.host.rested(this)
      this.endIfDeserted()
      return
    }
    this.onceReleased = undefined
    this.over()
    this.endDuties()
    this.tenancy.release(this.isUnfit || !this.ghosts.isEmpty)
    onceReleased()
  }

  private over(): void {
    this.state = "over"
    this.host.timers.clear(this)
  }

  /** What is left of them gets no answer. */
  private endDuties(): void {
    if (this.duties.end()) this.isUnfit = true
  }
}
