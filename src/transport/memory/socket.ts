import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import { ConnectionClosedError } from "../../values/errors.js"
import type { Message } from "../../values/message.js"
import { cutReason, isSendable } from "../closeFrame.js"
import type { CloseInfo, ConnectRequest, SocketEvents, TransportSocket } from "../seam.js"
import type { MemoryPeer } from "./peer.js"

/** What the server has put on the wire, in order. */
type Frame =
  | MessageFrame
  | { readonly _tag: "Pong"; readonly payload: string }
  | { readonly _tag: "End"; readonly info: CloseInfo }

interface MessageFrame {
  readonly _tag: "Message"
  readonly message: Message
  readonly bytes: number
  /** How the sending ended, once it has. */
  exit: Exit.Exit<void, ConnectionClosedError> | undefined
  onExit: ((exit: Exit.Exit<void, ConnectionClosedError>) => void) | undefined
}

/**
 * - `"Open"`
 * - `"Closing"`: the client has called `close`
 * - `"Ended"`: `onEnd` has been called
 * - `"Gone"`: `onGone` has been called, or is about to be
 */
type Status = "Open" | "Closing" | "Ended" | "Gone"

/**
 * - `"Up"`
 * - `"Silent"`: nothing gets through, and neither side can tell
 * - `"Cut"`: the server is gone
 */
type Line = "Up" | "Silent" | "Cut"

const copyOf = (message: Message): Message => (typeof message === "string" ? message : new Uint8Array(message))

const codePointBytes = (codePoint: number): number =>
  codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4

const byteLength = (message: Message): number => {
  if (typeof message !== "string") {
    return message.byteLength
  }
  let bytes = 0
  for (let i = 0; i < message.length; i++) {
    const codePoint = message.codePointAt(i)!
    bytes += codePointBytes(codePoint)
    if (codePoint > 0xffff) i++
  }
  return bytes
}

const sent = (frame: MessageFrame): Effect.Effect<void, ConnectionClosedError> =>
  callback((resume) => {
    if (frame.exit === undefined) frame.onExit = resume
    else resume(frame.exit)
  })

/**
 * Both ends of one connection: as a `TransportSocket` the client's, through `peer` the server's.
 *
 * What the server does reaches the client at once, by a direct call, since it happens in a fiber of the
 * server. What is an answer to one of the client's own calls (a pong, the end of a closing handshake, whatever
 * waited for `resume`) must not be reported inside of that call: it is put on the wire, and `later` drains it.
 */
class MemorySocket implements TransportSocket {
  bufferedAmount = 0
  progress = 0
  readonly protocol: string

  private status: Status = "Open"
  private line: Line = "Up"
  private paused = false
  private readonly toClient: Array<Frame> = []
  private isDraining = false
  private isDrainDue = false
  private readonly toServer: Array<{ readonly message: Message; readonly bytes: number }> = []
  private readonly receivers = new Set<() => void>()
  /** What the server's operations fail with, once the connection has ended for it. */
  private serverEnd: ConnectionClosedError | undefined

  constructor(
    private readonly id: string,
    private readonly request: ConnectRequest,
    private readonly events: SocketEvents,
    private readonly later: (task: () => void) => void
  ) {
    this.protocol = request.protocols[0] ?? ""
  }

  get isOpen(): boolean {
    return this.status === "Open"
  }

  send(message: Message): number {
    const bytes = byteLength(message)
    if (this.status === "Open" && this.line !== "Cut") {
      this.toServer.push({ message: copyOf(message), bytes })
      this.bufferedAmount += bytes
      this.wakeReceivers()
    }
    return bytes
  }

  ping(payload: string): void {
    if (this.status !== "Open" || this.line !== "Up") return
    this.toClient.push({ _tag: "Pong", payload })
    this.drainLater()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.drainLater()
  }

  close(code: number, reason: string): void {
    if (this.status !== "Open") return
    this.status = "Closing"
    // A server that has begun to close has its own end on the wire already.
    if (this.line !== "Up" || this.serverEnd !== undefined) return
    this.endServer({ code, reason, initiator: "Remote" })
    this.toClient.push({ _tag: "End", info: { code, reason, initiator: "Local" } })
    this.drainLater()
  }

  destroy(): void {
    if (this.status === "Gone") return
    const hasEnded = this.status === "Ended"
    this.status = "Gone"
    if (this.line === "Up") this.endServer({ code: 1006, reason: "", initiator: "Remote" })
    this.dropFrames()
    if (!hasEnded) this.events.onEnd({ code: 1006, reason: "", initiator: "Local" })
    this.events.onGone()
  }

  /** Only the waiting can be interrupted: a canceller that is not in place yet would let the message out. */
  readonly peerSend = (message: Message): Effect.Effect<void, ConnectionClosedError> =>
    Effect.uninterruptibleMask((restore) => {
      if (this.serverEnd !== undefined) return this.serverEnd
      if (this.line === "Silent") return Effect.void
      const frame: MessageFrame = {
        _tag: "Message",
        message: copyOf(message),
        bytes: byteLength(message),
        exit: undefined,
        onExit: undefined
      }
      this.toClient.push(frame)
      this.drain()
      return frame.exit ?? Effect.onInterrupt(restore(sent(frame)), () => Effect.sync(() => this.withdraw(frame)))
    })

  private withdraw(frame: MessageFrame): void {
    const index = this.toClient.indexOf(frame)
    if (index >= 0) this.toClient.splice(index, 1)
  }

  readonly peerReceive: Effect.Effect<Message, ConnectionClosedError> = Effect.suspend(() => {
    if (this.isHeard) return this.nextMessage
    if (this.serverEnd !== undefined) return this.serverEnd
    return Effect.andThen(this.somethingToReceive, this.peerReceive)
  })

  /** Whether there is something for the server. */
  private get isHeard(): boolean {
    return this.toServer.length > 0 && this.line !== "Silent"
  }

  private readonly somethingToReceive = callback<void>((resume) => {
    const wake = () => resume(Effect.void)
    // The scheduler may have let others go first.
    if (this.isHeard || this.serverEnd !== undefined) return wake()
    this.receivers.add(wake)
    return Effect.sync(() => {
      this.receivers.delete(wake)
    })
  })

  /**
   * A message is taken by the very step that hands it to the caller, so that no interruption falls in between.
   * Another fiber may have been faster by then.
   */
  private readonly nextMessage: Effect.Effect<Message, ConnectionClosedError> = Effect.catchCause(
    Effect.sync(() => this.takeMessage()),
    () => this.peerReceive
  )

  private takeMessage(): Message {
    const next = this.toServer.shift()
    if (next === undefined) throw new Error("Another fiber has received the message")
    const { bytes, message } = next
    this.bufferedAmount -= bytes
    this.progress += 1
    if (this.status === "Open" || this.status === "Closing") this.events.onFlush()
    return message
  }

  peerClose(code: number, reason: string): void {
    if (code === 1006) {
      this.peerDestroy()
      return
    }
    if (this.serverEnd !== undefined) return
    const info =
      code === 1005 ? { code, reason: "" } : { code: isSendable(code) ? code : 1000, reason: cutReason(reason) }
    this.endServer({ ...info, initiator: "Local" })
    if (this.line !== "Up") return
    this.toClient.push({ _tag: "End", info: { ...info, initiator: "Remote" } })
    this.drain()
  }

  peerDestroy(): void {
    this.endServer({ code: 1006, reason: "", initiator: "Local" })
    this.toServer.length = 0
    this.dropFrames()
    if (this.line !== "Up") return
    this.line = "Cut"
    this.toClient.push({ _tag: "End", info: { code: 1006, reason: "", initiator: "Remote" } })
    this.drain()
  }

  peerSilence(): void {
    if (this.line !== "Up") return
    this.line = "Silent"
    this.dropFrames()
  }

  private drainLater(): void {
    if (this.isDrainDue || this.paused || this.toClient.length === 0) return
    this.isDrainDue = true
    this.later(this.drainNow)
  }

  private readonly drainNow = (): void => {
    this.isDrainDue = false
    this.drain()
  }

  /** Never called inside of one of the client's own calls. */
  private drain(): void {
    if (this.isDraining) return
    this.isDraining = true
    try {
      while (!this.paused && this.toClient.length > 0) {
        this.deliver(this.toClient.shift()!)
      }
    } finally {
      this.isDraining = false
    }
  }

  private deliver(frame: Frame): void {
    switch (frame._tag) {
      case "Message": {
        this.settle(frame, Exit.void)
        if (frame.bytes > this.request.maxPayload) {
          this.end({ code: 1009, reason: "", initiator: "Local" })
        } else {
          this.progress += 1
          this.events.onMessage(frame.message, frame.bytes)
        }
        break
      }
      case "Pong": {
        this.progress += 1
        this.events.onPong(frame.payload)
        break
      }
      case "End": {
        this.end(frame.info)
        break
      }
    }
  }

  private end(info: CloseInfo): void {
    if (this.hasEnded()) return
    const initiator = this.status === "Closing" ? "Local" : info.initiator
    this.status = "Ended"
    this.endServer({ ...info, initiator: "Remote" })
    this.dropFrames()
    this.events.onEnd({ ...info, initiator })
    if (this.isGone()) return // destroyed inside of `onEnd`
    this.status = "Gone"
    this.events.onGone()
  }

  private hasEnded(): boolean {
    return this.status === "Ended" || this.status === "Gone"
  }

  private isGone(): boolean {
    return this.status === "Gone"
  }

  private endServer(info: CloseInfo): void {
    if (this.serverEnd !== undefined) return
    this.serverEnd = new ConnectionClosedError({ connectionId: this.id, ...info })
    this.wakeReceivers()
  }

  /** All of them, since one that is interrupted now would not pass the news on. */
  private wakeReceivers(): void {
    for (const wake of this.receivers) wake()
    this.receivers.clear()
  }

  private dropFrames(): void {
    const exit = this.serverEnd === undefined ? Exit.void : Exit.fail(this.serverEnd)
    for (const frame of this.toClient.splice(0)) {
      if (frame._tag === "Message") this.settle(frame, exit)
    }
  }

  private settle(frame: MessageFrame, exit: Exit.Exit<void, ConnectionClosedError>): void {
    frame.exit = exit
    frame.onExit?.(exit)
  }
}

export type { MemorySocket }

export const make = (
  id: string,
  request: ConnectRequest,
  events: SocketEvents,
  later: (task: () => void) => void
): MemorySocket => new MemorySocket(id, request, events, later)

/** The server's end. */
export const peer = (socket: MemorySocket, url: string, headers: Readonly<Record<string, string>>): MemoryPeer => ({
  url,
  headers,
  protocol: socket.protocol,
  send: socket.peerSend,
  receive: socket.peerReceive,
  close: (code = 1000, reason = "") => Effect.sync(() => socket.peerClose(code, reason)),
  destroy: Effect.sync(() => socket.peerDestroy()),
  silence: Effect.sync(() => socket.peerSilence())
})
