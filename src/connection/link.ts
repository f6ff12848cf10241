import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type { Slot } from "../core/slot.js"
import type { Timer } from "../core/timers.js"
import type { CloseInfo, SocketEvents, TransportSocket } from "../transport/seam.js"
import { type AcquireError, ConnectionClosedError, type ConnectionError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { Draining } from "./draining.js"
import { type End, isProtocolError } from "./end.js"
import type { Holder } from "./holder.js"
import type { Host } from "./host.js"
import { Reading, released, type Source } from "./reading.js"
import { Retirees } from "./retirees.js"
import { Backlog, type Sender, senderOf, sendLater } from "./sending.js"
import { type Line, Watch } from "./watch.js"

/** What a link needs to know of its pool. */
export type LinkHost = Host<Link>

/**
 * A physical connection. It knows who holds it, and keeps what has arrived.
 * All of its methods are synchronous; leases wrap them into effects.
 */
export class Link implements SocketEvents, Line, Source, Timer {
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
  private retirees: Retirees | undefined = undefined
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

  /** What has arrived, and who reads it. */
  readonly inbox: Reading
  private backlog: Backlog | undefined = undefined

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
    this.inbox = new Reading(this)
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
    // Something may have been sent since the first message of the turn came.
    const now = Math.max(this.host.receivedAt(), this.activeAt)
    this.activeAt = this.messageAt = now
    this.watch.heard(now)
    this.messagesReceived += 1
    this.bytesReceived += bytes
    this.host.onReceived(bytes)
    if (this.end !== undefined) this.onDropped(bytes)
    else if (this.lease !== undefined || this.leases === 0) this.inbox.arrive(message, bytes)
    else this.host.onStray(this, message, bytes)
  }

  onPong(payload: string): void {
    this.activeAt = this.host.timers.now()
    this.watch.ponged(payload, this.activeAt)
  }

  onFlush(): void {
    this.sendWaiting()
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

  // What reading asks for

  get receiveBuffer(): number {
    return this.host.receiveBuffer
  }

  /** Whether it is not read. */
  get isPaused(): boolean {
    return this.inbox.isPaused
  }

  onAwaited(): void {
    this.host.wakeLater(this)
  }

  onDropped(bytes: number): void {
    this.host.onDropped(this, bytes)
  }

  pause(): void {
    // A closing handshake that nobody reads would never end.
    if (this.closing !== undefined) this.destroy()
    else this.socket!.pause()
  }

  resume(): void {
    if (this.isGone) return
    this.socket!.resume()
    if (!this.isEnding) this.watch.resumed()
  }

  // Sending

  send(lease: Holder, message: Message): Effect.Effect<void, ConnectionError> {
    const { socket } = this
    const refusal = this.refusal(lease)
    if (refusal !== undefined || socket === undefined) return refusal ?? released(this.id)
    if (!this.hasRoom(socket)) return sendLater(this, lease, message)
    this.write(socket, message)
    return Effect.void
  }

  /** Whether what is sent now would have to wait. */
  get isClogged(): boolean {
    return this.socket === undefined || !this.hasRoom(this.socket)
  }

  /** A server that has begun to close has not told how yet: then wait for the end, too. */
  private hasRoom(socket: TransportSocket): boolean {
    return this.backlog?.isEmpty !== false && socket.bufferedAmount <= this.host.sendBuffer && socket.isOpen
  }

  /** Writes for a sender, now or once there is room. */
  post(sender: Sender, now = this.host.timers.now()): void {
    const { socket } = this
    const refusal = this.refusal(sender.lease)
    if (refusal !== undefined || socket === undefined) sender.refuse(refusal ?? released(this.id))
    else if (this.hasRoom(socket)) {
      this.write(socket, sender.message, now)
      sender.sent()
    } else this.queue(sender)
  }

  /** `post` on a connection that does not end. Without an answer the socket has taken it; else `settled` says later if it has. */
  offer(lease: Holder, message: Message, settled: (isTaken: boolean) => void): Sender | undefined {
    if (!this.isClogged) {
      this.write(this.socket!, message)
      return undefined
    }
    const sender = senderOf(
      lease,
      message,
      () => settled(true),
      () => settled(false)
    )
    this.queue(sender)
    return sender
  }

  private queue(sender: Sender): void {
    this.backlog ??= new Backlog()
    this.backlog.add(sender)
  }

  /** Takes a message back, unless the socket has taken it: so it says which. */
  withdraw(sender: Sender): boolean {
    return this.backlog?.remove(sender) ?? false
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
    while (this.backlog?.isEmpty === false && this.isOpen && socket!.bufferedAmount <= this.host.sendBuffer) {
      const sender = this.backlog.next()!
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
    if (lease !== undefined && this.lease !== lease) return released(this.id)
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
    this.inbox.fail()
  }

  private failWaiting(end: End): void {
    const error = () => Effect.fail(this.closedBy(end))
    this.backlog?.refuse(error)
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
    if (reason !== undefined || this.lease !== lease) return () => undefined
    this.retirees ??= new Retirees()
    return this.retirees.add(f)
  }

  retire(reason: CloseReason): void {
    this.retirees?.tell(reason)
  }

  /** Hooks between leases see nothing of what waits for the first lease. */
  lendToHook(lease: Holder): void {
    this.lease = lease
    if (this.leases === 0) this.inbox.setAside()
  }

  /** Whatever is under way for the holder fails. */
  endLease(): void {
    const { lease } = this
    if (lease === undefined) return
    // Before the first lease nobody tidies up.
    this.inbox.keepFor(lease, this.leases > 0)
    this.lease = undefined
    this.retirees = undefined
    this.inbox.fail()
    const refusal = () => released(this.id)
    this.backlog?.refuse(refusal)
    this.watch.endLease(refusal)
    this.inbox.putBack()
    // What its holder has left of a connection that is over is for nobody else.
    if (this.isEnding) this.inbox.drop()
  }

  /** With what reading fails once all has been read. */
  get closedError(): ConnectionClosedError | undefined {
    return this.end === undefined ? undefined : this.closedBy(this.end)
  }

  /** With what everything fails that is not under way yet. */
  get endError(): ConnectionClosedError | undefined {
    const end = this.end ?? this.closing
    return end === undefined ? undefined : this.closedBy(end)
  }

  private closedBy(end: End): ConnectionClosedError {
    return new ConnectionClosedError({ connectionId: this.id, ...end })
  }
}
