import { thrown } from "#edition/messages/parseFailure"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { Tenancy } from "../connection/tenancy.js"
import type { Slot } from "../core/slot.js"
import type { Timer, Timers } from "../core/timers.js"
import { ConnectionClosedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import { isMessage, type Message } from "../values/message.js"
import type { RequestError, WideCodec } from "./api.js"
import type { Call, Keeper, StreamCall } from "./call.js"
import { Ghosts } from "./ghosts.js"
import type { Aside, Incoming, Nothing } from "./incoming.js"
import type { Tally } from "./tally.js"

/** What a session needs to know, and tells. */
export interface SessionHost<Request, Item, E> {
  readonly timers: Timers
  readonly tally: Tally
  readonly concurrency: number
  readonly retireTimeout: number
  /** Whether it is all one stream's, whose reader holds the server back. */
  readonly isExclusive: boolean
  /** Calls a function outside of what happens to the connection. */
  readonly later: (f: () => void) => void
  /** One of its places is free. */
  readonly freed: (session: Session<Request, Item, E>) => void
  /** It gets no new request: it is given back once it is empty. */
  readonly retired: (session: Session<Request, Item, E>, reason: CloseReason) => void
  /** It has ended by itself, its places are gone. */
  readonly lost: (session: Session<Request, Item, E>) => void
  /** The socket has not taken this one. */
  readonly resend: (call: Call<Request, Item, E>, session: Session<Request, Item, E>) => void
  /** Runs something that the server waits for. */
  readonly run: (effect: Effect.Effect<void>) => void
  /** Where the notices of a session go, if anywhere. */
  readonly noticesOf: (session: Session<Request, Item, E>) => ((value: unknown) => void) | undefined
}

type Failure<E> = E | RequestError

const ignore = (): void => {}

/** Past so many answers that the socket has not taken, nothing more is read. */
const mostUnsaid = 1024

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
  /** Whether the server has said anything on it. */
  hasSpoken = false
  /** Answers, and credit, that the socket has not taken yet. */
  private unsaid = 0
  private notice: ((value: unknown) => void) | undefined = undefined

  // Its timer is the end of what may go on while it retires.
  due = 0
  position = -1

  constructor(
    readonly slot: Slot<Session<Request, Item, E>, Failure<E>>,
    readonly tenancy: Tenancy,
    private readonly codec: WideCodec<Request, Item, E>,
    private readonly host: SessionHost<Request, Item, E>
  ) {}

  get isOpen(): boolean {
    return this.state !== "over" && this.tenancy.isOpen
  }

  start(): void {
    this.tenancy.onceRetiring((reason) => this.retire(reason))
    this.read()
  }

  // Calls

  begin(call: Call<Request, Item, E>): void {
    this.lastId += 1
    const id = this.lastId
    let message: Message
    try {
      message = this.codec.encode(id, call.request)
      if (!isMessage(message)) throw new TypeError("encode has to give a string or a Uint8Array")
    } catch (error) {
      call.end(Exit.fail(thrown("encode, given", call.request, error)))
      this.host.freed(this)
      return
    }
    call.id = id
    call.keeper = this
    // Before it is sent: a server may be fast.
    this.calls.set(id, call)
    call.state = "queued"
    call.sender = this.tenancy.offer(message, (isTaken) => {
      call.sender = undefined
      if (call.state !== "queued") return
      if (isTaken) this.sent(call)
      else call.state = "unsent"
    })
    if (call.sender === undefined) this.sent(call)
  }

  private sent(call: Call<Request, Item, E>): void {
    call.state = "sent"
    if (!call.isOneWay) return
    this.drop(call)
    call.end(Exit.void)
  }

  abandon(call: Call<Request, Item, E>): void {
    if (call.state !== "sent") {
      if (call.sender !== undefined && this.tenancy.withdraw(call.sender)) this.codec.withdrawn?.(call.id)
      call.state = "over"
      this.drop(call)
      return
    }
    this.host.tally.cancelled += 1
    this.giveUp(call)
  }

  /** Nobody waits any more for what the socket has taken. */
  private giveUp(call: Call<Request, Item, E>): void {
    const cancel = this.tenancy.isOpen ? this.cancelOf(call.id) : undefined
    if (cancel !== undefined) {
      this.tenancy.offer(cancel, ignore)
      this.ghosts.add(call.id, call.isStream)
      call.state = "over"
      this.drop(call)
      return
    }
    call.state = "over"
    call.isAbandoned = true
    this.abandoned += 1
    if (this.abandoned === this.host.concurrency) this.retire("Discarded")
    this.endIfDeserted()
  }

  private cancelOf(id: number): Message | undefined {
    try {
      const message = this.codec.cancel?.(id)
      return isMessage(message) ? message : undefined
    } catch {
      // The server cannot be told: its answer is waited for.
      return undefined
    }
  }

  consumed(call: Call<Request, Item, E>, isDrained: boolean): void {
    if (isDrained && call.state === "sent" && this.tenancy.isOpen && this.codec.ack !== undefined) {
      let ack: Message | undefined
      try {
        ack = this.codec.ack(call.id)
      } catch {
        ack = undefined
      }
      if (ack !== undefined) this.say(ack)
    }
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
    if (this.unsaid >= mostUnsaid) return false
    if (!this.host.isExclusive) return true
    for (const call of this.calls.values()) {
      if (call.isStream && !call.isAbandoned && (call as StreamCall<Request, Item, E>).isFull) return false
    }
    return true
  }

  private receive(message: Message): void {
    if (this.state === "over") return
    this.hasSpoken = true
    let incoming: ReadonlyArray<Incoming<Item, E> | Aside>
    try {
      incoming = this.codec.decode(message)
      if (!Array.isArray(incoming)) throw new TypeError("decode has to give an array")
    } catch {
      this.breach()
      return
    }
    for (const one of incoming) if (!this.isGivenBack) this.on(one)
  }

  private on(incoming: Incoming<Item, E> | Aside): void {
    switch (incoming._tag) {
      case "Item": {
        const call = this.calls.get(incoming.id)
        if (call === undefined || call.isAbandoned) this.unmatched(incoming.id, call, false)
        else if (call.isStream) this.push(call as StreamCall<Request, Item, E>, incoming.value)
        else this.finish(call, Exit.succeed(incoming.value))
        break
      }
      case "End": {
        const call = this.calls.get(incoming.id)
        if (call === undefined || call.isAbandoned) this.unmatched(incoming.id, call, true)
        else this.finish(call, incoming.exit)
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
        if (incoming.reply !== undefined) this.say(incoming.reply)
        this.notice ??= this.host.noticesOf(this) ?? ignore
        this.notice(incoming.value)
        break
      case "Retire":
        this.isUnfit = true
        this.retire("Discarded")
        break
      case "Settled": {
        const call = this.calls.get(incoming.id)
        this.ghosts.answered(incoming.id, true)
        if (call?.isAbandoned) this.drop(call)
        break
      }
      case "Reply":
        this.say(incoming.message)
        break
      case "Task":
        this.host.run(Effect.map(incoming.effect, (message) => this.say(message)))
    }
  }

  /** A server that asks and does not read would have its answers kept without end: it is read no further meanwhile. */
  private say(message: Message): void {
    if (!this.isOpen || !isMessage(message)) return
    const sender = this.tenancy.offer(message, () => {
      this.unsaid -= 1
      if (this.unsaid === mostUnsaid - 1) this.host.later(this.wake)
    })
    if (sender !== undefined) this.unsaid += 1
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
  }

  /** When no more are unanswered than were refused, it is clear which those were. */
  private settleRefusals(): void {
    if (this.refusals.length === 0 || this.state === "over" || this.calls.size > this.refusals.length) return
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
    const { refusals } = this
    if (refusals.length > 0) this.endAll(() => Exit.fail(refusals[0]!))
    else this.endAll(() => Exit.fail(this.error))
  }

  /** What a call fails with that it cannot carry, or carry on. */
  get error(): ConnectionClosedError {
    const { closedBy, id } = this.tenancy
    return closedBy ?? new ConnectionClosedError({ connectionId: id, code: 1000, reason: "", initiator: "Pool" })
  }

  private endIfDeserted(): void {
    if (this.state === "retiring" && this.abandoned > 0 && this.abandoned === this.calls.size) this.giveBack()
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

  /** Takes its calls from it. */
  private leave(): ReadonlyArray<Call<Request, Item, E>> {
    this.state = "over"
    this.host.timers.clear(this)
    const calls = Array.from(this.calls.values())
    for (const { state, isAbandoned } of calls) if (state === "sent" || isAbandoned) this.isUnfit = true
    this.calls.clear()
    this.abandoned = 0
    return calls
  }

  private conclude(call: Call<Request, Item, E>, exitOf: () => Exit.Exit<never, Failure<E>>): void {
    if (call.state === "queued" && call.sender !== undefined && this.tenancy.withdraw(call.sender))
      call.state = "unsent"
    if (call.state === "unsent" || call.state === "queued") this.host.resend(call, this)
    else call.end(exitOf())
  }

  /** The connection has ended: those that it has taken fail, the others go over the next one. */
  private end(): void {
    if (this.state === "over") return
    const { error } = this
    const calls = this.leave()
    this.host.lost(this)
    for (const call of calls) this.conclude(call, () => Exit.fail(error))
  }

  /** What the server says cannot be understood. */
  private breach(): void {
    this.tenancy.breach("message not understood")
    this.end()
  }

  /** Nothing is left of it for this holder. It is for the next only if nothing is unanswered. */
  release(): void {
    this.state = "over"
    this.host.timers.clear(this)
    this.tenancy.release(this.isUnfit || !this.ghosts.isEmpty)
  }
}
