import { afterwards, hasEnded, isInterrupted } from "#dialect"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import type { AnySpan } from "#effect/Tracer"
import { cancellable } from "../core/cancellable.js"
import type { Slot } from "../core/slot.js"
import type { Timer } from "../core/timers.js"
import type { CloseInfo, SocketEvents, TransportSocket } from "../transport/seam.js"
import {
  type AcquireError,
  ConnectionBusyError,
  ConnectionClosedError,
  type ConnectionError
} from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { CloseInitiator } from "../values/reasons.js"
import type { Draining } from "./draining.js"
import { Inbox } from "./inbox.js"
import { type Line, type Rules, Watch } from "./watch.js"

/** What a link needs to know of its pool, and tells it. */
export interface LinkHost extends Rules {
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly closeTimeout: number
  readonly hasHealthCheck: boolean
  /** Calls `wake` once all that arrives in this turn of the event loop is told. */
  readonly wakeLater: (link: Link) => void
  /** To be counted: a message went out, or came in. */
  readonly onSent: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
  /** A message came that belongs to no lease. */
  readonly onStray: (link: Link, message: Message, bytes: number) => void
  /** A message was read and will be given to nobody. */
  readonly onDropped: (link: Link, bytes: number) => void
  /** Nothing was heard for `pingInterval`, or for nearly as long when another line is silent. */
  readonly onSilent: (link: Link) => void
  /** Nothing moved for `pingTimeout` after a ping. */
  readonly onDead: (link: Link) => void
  /** The connection has ended; its socket may still be there. */
  readonly onEnded: (link: Link) => void
  /** The socket is gone. */
  readonly onGone: (link: Link) => void
  /** Why the pool wants a leased connection back, if it does. */
  readonly retirementOf: (link: Link) => CloseReason | undefined
}

/** The handle of a lease, as far as the link knows it. */
export interface Holder {
  /** When it began. */
  readonly since: number
  /** The span of the fiber that took it. */
  readonly span: AnySpan | undefined
  /** A message that it had claimed when it ended. */
  kept: Message | undefined
}

interface End {
  readonly code: number
  readonly reason: string
  readonly initiator: CloseInitiator
}

interface Receiver {
  /** None where whoever is woken is no fiber. */
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly isInterruptible: boolean
}

export interface Reader extends Receiver {
  /** Makes it look again. */
  readonly wake: () => void
  /** What it waits for is over. Whoever says so is in the middle of something: it looks again once that is done. */
  readonly fail: () => void
}

export interface Sender {
  readonly lease: Holder
  readonly message: Message
  /** Whether nobody wants the message to go out any more. */
  readonly isWithdrawn: boolean
  readonly sent: () => void
  /** Called in the middle of something, as `fail` of a reader is. */
  readonly refuse: (refusal: Effect.Effect<never, ConnectionError>) => void
}

/** A fiber that waits in `receive`. */
class Receiving<A> implements Reader {
  constructor(
    readonly fiber: Fiber.Fiber<unknown, unknown>,
    readonly isInterruptible: boolean,
    private readonly again: Effect.Effect<A, ConnectionError>,
    private readonly resume: (effect: Effect.Effect<A, ConnectionError>) => void
  ) {}

  wake(): void {
    this.resume(this.again)
  }

  fail(): void {
    afterwards(() => this.wake())
  }
}

/**
 * A physical connection. It knows who holds it, and keeps what has arrived.
 * All of its methods are synchronous; leases wrap them into effects.
 */
export class Link implements SocketEvents, Line, Timer {
  socket: TransportSocket | undefined = undefined
  /** Who may use it now. */
  lease: Holder | undefined = undefined
  /** How many leases there have been, those of hooks aside. */
  leases = 0
  /** Why the pool or its holder ended it. */
  closeReason: CloseReason | undefined = undefined
  end: End | undefined = undefined
  isGone = false
  /** Whether a lease has made it unfit for the next one. */
  isUnfit = false
  /** The wait for the line to fall quiet between two leases. */
  draining: Draining | undefined = undefined
  /** What `onConnect` has acquired. */
  scope: Scope.Closeable | undefined = undefined
  /** Whether it was told that it retires: that is told once. */
  hasRetired = false
  /** Those of its holder who wait for that. */
  private retirees: Array<(reason: CloseReason) => void> | undefined = undefined
  /** Told once the socket is gone. */
  onceGone: (() => void) | undefined = undefined

  openedAt = 0
  activeAt = 0
  leasedUntil = 0
  /** When the latest message came. */
  messageAt = 0
  messagesSent = 0
  messagesReceived = 0
  bytesSent = 0
  bytesReceived = 0

  inbox = new Inbox()
  /** What waits for the first lease while a hook has one. */
  private greeting: Inbox | undefined = undefined
  isPaused = false
  private reader: Reader | undefined = undefined
  private isWaking = false
  /** Who was told that there is a message, and has not taken it yet. */
  private claimant: Receiver | undefined = undefined
  private senders: Array<Sender> = none

  /** The close frame of our side, once it is sent. */
  private closing: End | undefined = undefined
  private readonly watch: Watch

  // Its timer is the end of the closing handshake.
  due = 0
  position = -1

  constructor(
    readonly id: string,
    readonly slot: Slot<Link, AcquireError>,
    private readonly host: LinkHost
  ) {
    this.watch = new Watch(this, host)
  }

  /** How long nothing was heard of it, by whichever clock has gone further. */
  silentFor(now: number): number {
    const { heardAt, heardJumps } = this.watch
    return now - heardAt + (this.host.timers.readWallJumps(now) - heardJumps)
  }

  get isChecked(): boolean {
    return this.host.hasHealthCheck && this.slot.state === "idle"
  }

  /** What the clock shows at a time; 0 if it was never open. */
  onClock(time: number): number {
    return this.socket === undefined ? 0 : this.host.timers.onClock(time)
  }

  get isOpen(): boolean {
    return this.end === undefined && this.closing === undefined && this.socket?.isOpen === true
  }

  get isEnding(): boolean {
    return this.end !== undefined || this.closing !== undefined
  }

  // What the socket reports

  onOpen(socket: TransportSocket): void {
    this.socket = socket
    this.openedAt = this.activeAt = this.leasedUntil = this.host.timers.now()
    if (this.isEnding) socket.destroy()
    else this.watch.opened(this.openedAt)
  }

  onMessage(message: Message, bytes: number): void {
    const now = this.host.timers.now()
    this.activeAt = this.messageAt = now
    this.watch.heard(now)
    this.messagesReceived += 1
    this.bytesReceived += bytes
    this.host.onReceived(bytes)
    if (this.end !== undefined) this.host.onDropped(this, bytes)
    else if (this.lease !== undefined || this.leases === 0) {
      this.inbox.push(message, bytes)
      if (this.reader !== undefined && !this.isWaking) {
        this.isWaking = true
        this.host.wakeLater(this)
      }
      // One message that is waited for is as good as read, however large it is.
      const isAwaited = this.isWaking && this.inbox.length === 1
      if (this.inbox.weight > this.host.receiveBuffer && !this.isPaused && !isAwaited) this.pause()
    } else this.host.onStray(this, message, bytes)
  }

  onPong(payload: string): void {
    this.activeAt = this.host.timers.now()
    this.watch.ponged(payload, this.activeAt)
  }

  onFlush(): void {
    if (this.senders.length > 0) this.sendWaiting()
  }

  onEnd(info: CloseInfo): void {
    const { closing } = this
    if (this.end !== undefined) return
    this.closeReason ??= isProtocolError(info) ? "Protocol" : "Remote"
    this.finish(closing === undefined ? info : { ...info, initiator: closing.initiator })
    this.host.timers.set(this, this.host.timers.now() + this.host.closeTimeout)
    this.host.onEnded(this)
  }

  onGone(): void {
    this.isGone = true
    this.closeReason ??= "Remote"
    if (this.end === undefined) this.finish({ code: 1006, reason: "", initiator: this.closing?.initiator ?? "Remote" })
    this.host.timers.clear(this)
    this.watch.stop()
    this.onceGone?.()
    this.host.onGone(this)
  }

  // Receiving

  /**
   * The next step of a `receive`: `take`, a wait, or an error.
   *
   * An effect that holds a message can be interrupted before its fiber goes on, and the message is lost. So
   * the message is taken by `take`, a single `Effect.sync`, whose result the fiber's continuation gets within
   * the same step. Until then the fiber has only claimed it.
   */
  receive<A>(
    lease: Holder,
    fiber: Fiber.Fiber<unknown, unknown>,
    isInterruptible: boolean,
    again: Effect.Effect<A, ConnectionError>,
    take: Effect.Effect<A>
  ): Effect.Effect<A, ConnectionError> {
    if (this.lease !== lease) return this.released
    if (this.inbox.length > 0) {
      const { claimant } = this
      // Unless that one was interrupted, and never will, it takes the message in its next step.
      if (claimant !== undefined && claimant.fiber !== fiber && isReceiving(claimant)) return this.receiving
      this.claimant = { fiber, isInterruptible }
      return take
    }
    if (this.end !== undefined) return Effect.fail(this.closedError(this.end))
    if (this.reader !== undefined && isReceiving(this.reader)) return this.receiving
    // There is no finaliser: it would cost more than all the rest. A reader that was interrupted is found out
    // by the state of its fiber, and waking it does nothing.
    return Effect.callback((resume) => {
      this.reader = new Receiving(fiber, isInterruptible, again, resume)
    })
  }

  /** Calls `wake` once, when there is something to take, or the connection has ended, and not before this call returns. */
  listen(lease: Holder, wake: () => void): void {
    if (this.lease !== lease) return
    this.reader = { fiber: undefined, isInterruptible: false, wake, fail: () => afterwards(wake) }
  }

  /** What a reader that is no fiber can take now, or fails with. If there is neither, it is woken once there is. */
  look(reader: Reader): "Message" | ConnectionClosedError | undefined {
    if (this.inbox.length > 0) return "Message"
    if (this.end !== undefined) return this.closedError(this.end)
    this.reader = reader
    return undefined
  }

  take(lease: Holder): Message {
    this.claimant = undefined
    if (this.lease !== lease) return lease.kept!
    const message = this.inbox.take()
    if (this.isPaused && this.inbox.weight <= this.host.receiveBuffer / 2) this.unpause()
    return message
  }

  /** At least one: it is only taken from when something is there. */
  takeAll(lease: Holder): [Message, ...Array<Message>] {
    this.claimant = undefined
    if (this.lease !== lease) return [lease.kept!]
    const messages = this.inbox.takeAll()
    if (this.isPaused) this.unpause()
    return messages as [Message, ...Array<Message>]
  }

  /** Wakes who waits for what has arrived. */
  wake(): void {
    this.isWaking = false
    this.wakeReader()
  }

  /** It goes on at once where Effect lets it: all that has come is told, and the inbox is as it will be. */
  private wakeReader(): void {
    const { reader } = this
    this.reader = undefined
    reader?.wake()
  }

  /** What it was reading is over. Whoever says so is in the middle of something, and has to come to its end first. */
  private failReader(): void {
    const { reader } = this
    this.reader = undefined
    reader?.fail()
  }

  private pause(): void {
    this.isPaused = true
    // A closing handshake that nobody reads would never end.
    if (this.closing !== undefined) this.destroy()
    else this.socket!.pause()
  }

  private unpause(): void {
    this.isPaused = false
    if (this.isGone) return
    this.socket!.resume()
    if (!this.isEnding) this.watch.resumed()
  }

  /** Throws away what is unread, up to the first message that may not be. */
  drop(mayDrop: (message: Message) => boolean = () => true): boolean {
    while (this.inbox.length > 0) {
      if (!mayDrop(this.inbox.next)) return false
      const bytes = this.inbox.nextBytes
      this.inbox.take()
      this.host.onDropped(this, bytes)
    }
    if (this.isPaused) this.unpause()
    return true
  }

  // Sending

  send(lease: Holder, message: Message): Effect.Effect<void, ConnectionError> {
    const { socket } = this
    const refusal = this.refusal(lease)
    if (refusal !== undefined || socket === undefined) return refusal ?? this.released
    if (!this.hasRoom(socket)) {
      return cancellable((resume) => {
        const sender: Sender = {
          lease,
          message,
          isWithdrawn: false,
          sent: () => resume(Effect.void),
          refuse: resume
        }
        // It joins a step later: what ended it, or made room, in between would not be told again.
        this.post(sender)
        return () => {
          this.withdraw(sender)
          return undefined
        }
      })
    }
    this.write(socket, message)
    return Effect.void
  }

  /** Whether what is sent now would have to wait. */
  get isClogged(): boolean {
    return this.socket === undefined || !this.hasRoom(this.socket)
  }

  /** A server that has begun to close has not told how yet: then wait for the end, too. */
  private hasRoom(socket: TransportSocket): boolean {
    return this.senders.length === 0 && socket.bufferedAmount <= this.host.sendBuffer && socket.isOpen
  }

  /** Writes for a sender, now or once there is room. */
  post(sender: Sender, now = this.host.timers.now()): void {
    const { socket } = this
    const refusal = this.refusal(sender.lease)
    if (refusal !== undefined || socket === undefined) sender.refuse(refusal ?? this.released)
    else if (this.hasRoom(socket)) {
      this.write(socket, sender.message, now)
      sender.sent()
    } else {
      if (this.senders === none) this.senders = []
      this.senders.push(sender)
    }
  }

  /** `post` on a connection that does not end. Without an answer the socket has taken it; else `settled` says later if it has. */
  offer(lease: Holder, message: Message, settled: (isTaken: boolean) => void): Sender | undefined {
    if (!this.isClogged) {
      this.write(this.socket!, message)
      return undefined
    }
    const sender: Sender = {
      lease,
      message,
      isWithdrawn: false,
      sent: () => settled(true),
      refuse: () => settled(false)
    }
    if (this.senders === none) this.senders = []
    this.senders.push(sender)
    return sender
  }

  /** Takes a message back, unless the socket has taken it: so it says which. */
  withdraw(sender: Sender): boolean {
    const index = this.senders.indexOf(sender)
    if (index >= 0) this.senders.splice(index, 1)
    return index >= 0
  }

  private write(socket: TransportSocket, message: Message, now = this.host.timers.now()): void {
    this.activeAt = now
    this.messagesSent += 1
    const bytes = socket.send(message)
    this.bytesSent += bytes
    this.host.onSent(bytes)
  }

  private sendWaiting(): void {
    const { socket } = this
    while (this.senders.length > 0 && this.isOpen && socket!.bufferedAmount <= this.host.sendBuffer) {
      const sender = this.senders.shift()!
      if (sender.isWithdrawn) continue
      this.write(socket!, sender.message)
      sender.sent()
    }
  }

  // The life of the line

  ping(lease: Holder | undefined): Effect.Effect<Duration.Duration, ConnectionError> {
    return this.watch.ping(lease, () => this.refusal(lease))
  }

  /** Why nothing can be done for a lease any more, or for the pool itself. */
  private refusal(lease: Holder | undefined): Effect.Effect<never, ConnectionError> | undefined {
    if (lease !== undefined && this.lease !== lease) return this.released
    const error = this.endError
    return error === undefined ? undefined : Effect.fail(error)
  }

  sendPing(): void {
    this.watch.sendPing()
  }

  onSilent(): void {
    this.host.onSilent(this)
  }

  onDead(): void {
    this.host.onDead(this)
  }

  /** It can be leased again, after more than a release. */
  isIdle(): void {
    if (this.host.hasHealthCheck && this.isOpen) this.watch.idle()
  }

  /** A health check has come to its end. */
  wasChecked(): void {
    if (this.isOpen) this.watch.checked()
  }

  // Ends

  /**
   * Begins the closing handshake. One that the pool begins is over at once for the holder; one that the holder
   * begins is over when the server has answered, so that what it sends before that can be received.
   */
  close(code: number, reason: string, initiator: "Local" | "Pool", closeReason: CloseReason): void {
    this.closeReason ??= closeReason
    if (this.isEnding) return
    this.closing = { code, reason, initiator }
    if (initiator === "Pool") this.finish(this.closing)
    else this.failWaiting(this.closing)
    if (this.isPaused || this.socket === undefined) this.destroy()
    else {
      this.socket.close(code, reason)
      this.host.timers.set(this, this.host.timers.now() + this.host.closeTimeout)
    }
  }

  onDue(): void {
    this.destroy()
  }

  /** Ends the line without a handshake. */
  destroy(): void {
    if (this.isGone) return
    this.closeReason ??= "Closed"
    if (this.end === undefined) this.finish({ code: 1006, reason: "", initiator: this.closing?.initiator ?? "Pool" })
    this.socket?.destroy()
  }

  private finish(end: End): void {
    this.end = end
    this.failWaiting(end)
    this.failReader()
  }

  private failWaiting(end: End): void {
    const { senders } = this
    const error = () => Effect.fail(this.closedError(end))
    this.senders = none
    for (const sender of senders) sender.refuse(error())
    this.watch.stop()
    this.watch.fail(error)
  }

  // Retiring

  /** Why the pool wants it back, if it does. */
  get retirement(): CloseReason | undefined {
    return this.host.retirementOf(this)
  }

  /** Calls `f` once the pool wants the connection back, at once if it does already, and never after the lease. */
  onceRetiring(lease: Holder, f: (reason: CloseReason) => void): () => undefined {
    const reason = this.lease === lease ? this.retirement : undefined
    if (reason !== undefined) f(reason)
    else if (this.lease === lease) {
      this.retirees ??= []
      this.retirees.push(f)
    }
    return () => {
      const index = this.retirees?.indexOf(f) ?? -1
      if (index >= 0) this.retirees?.splice(index, 1)
      return undefined
    }
  }

  retire(reason: CloseReason): void {
    const { retirees } = this
    this.retirees = undefined
    if (retirees !== undefined) for (const f of retirees) f(reason)
  }

  /** Hooks between leases see nothing of what waits for the first lease. */
  lendToHook(lease: Holder): void {
    this.lease = lease
    if (this.leases > 0) return
    this.greeting = this.inbox
    this.inbox = new Inbox()
  }

  /** Whatever is under way for the holder fails. */
  endLease(): void {
    const { lease, senders } = this
    if (lease === undefined) return
    // Only for one who is about to take it: a claim outlives a fiber that was interrupted.
    const isClaimed = this.claimant?.fiber !== undefined && !hasEnded(this.claimant.fiber)
    if (isClaimed && this.inbox.length > 0) lease.kept = this.inbox.take()
    this.claimant = undefined
    this.lease = undefined
    this.retirees = undefined
    if (this.reader !== undefined) this.failReader()
    if (senders.length > 0) {
      this.senders = none
      for (const sender of senders) sender.refuse(this.released)
    }
    this.watch.endLease(() => this.released)
    if (this.greeting !== undefined) {
      this.greeting.append(this.inbox)
      this.inbox = this.greeting
      this.greeting = undefined
    }
    // What its holder has left of a connection that is over is for nobody else.
    if (this.isEnding) this.drop()
  }

  private get receiving(): Effect.Effect<never, ConnectionBusyError> {
    return Effect.fail(new ConnectionBusyError({ connectionId: this.id, reason: "Receiving" }))
  }

  private get released(): Effect.Effect<never, ConnectionBusyError> {
    return Effect.fail(new ConnectionBusyError({ connectionId: this.id, reason: "Released" }))
  }

  /** With what everything fails that is not under way yet. */
  get endError(): ConnectionClosedError | undefined {
    const end = this.end ?? this.closing
    return end === undefined ? undefined : this.closedError(end)
  }

  private closedError(end: End): ConnectionClosedError {
    return new ConnectionClosedError({ connectionId: this.id, ...end })
  }
}

/** Before our side has begun to close, only a breach of the protocol makes it end a connection. */
const isProtocolError = ({ code, initiator }: CloseInfo): boolean =>
  initiator === "Local" || code === 1002 || code === 1007 || code === 1009

const none: Array<Sender> = []

/** An interruption is no end of what is uninterruptible. */
export const isReceiving = ({ fiber, isInterruptible }: Receiver): boolean =>
  fiber === undefined || (!hasEnded(fiber) && !(isInterruptible && isInterrupted(fiber)))
