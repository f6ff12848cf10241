import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Stream from "effect/Stream"
import type { SlotState } from "../core/slot.js"
import { cutReason, isSendable } from "../transport/closeFrame.js"
import type { ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import { isMessage, notAMessage } from "../values/message.js"
import { type ConnectionInfo, type ConnectionState, TypeId, type WebSocketConnection } from "./handle.js"
import { currentSpan } from "./leaseSpan.js"
import type { Link } from "./link.js"

export const isWebSocketConnection = (u: unknown): u is WebSocketConnection => Predicate.hasProperty(u, TypeId)

const states: { readonly [S in SlotState]: ConnectionState } = {
  creating: "connecting",
  idle: "idle",
  checking: "busy",
  leased: "busy",
  releasing: "draining",
  closing: "closing",
  gone: "closed"
}

export const infoOf = (link: Link): ConnectionInfo => ({
  id: link.id,
  state: link.isGone ? "closed" : link.isEnding ? "closing" : states[link.slot.state],
  openedAt: link.onClock(link.openedAt),
  lastActivityAt: link.onClock(link.activeAt),
  leases: link.leases,
  messagesSent: link.messagesSent,
  messagesReceived: link.messagesReceived,
  bytesSent: link.bytesSent,
  bytesReceived: link.bytesReceived
})

/**
 * A holder's handle of a link: valid as long as it is the one that the link knows.
 *
 * One is made for each lease, so it is small. What needs its identity is made when it is asked for, as
 * functions and effects that do not depend on how they are called.
 */
export class Lease implements WebSocketConnection {
  isDiscarded = false
  /** A message that it had claimed when it ended. */
  kept: Message | undefined = undefined
  /** The span of the fiber that took it. */
  readonly span = currentSpan()

  constructor(
    private readonly link: Link,
    /** When it began. */
    readonly since = 0
  ) {}

  get [TypeId](): typeof TypeId {
    return TypeId
  }

  // What is behind a handle holds URLs and headers: neither a log line nor a failed assertion may show it.

  toJSON(): unknown {
    return { _id: "WebSocketConnection", id: this.id }
  }

  toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.link.lease !== this
  }

  get id(): string {
    return this.link.id
  }

  get protocol(): string {
    return this.link.socket?.protocol ?? ""
  }

  get send(): (message: Message) => Effect.Effect<void, ConnectionError> {
    return (message) =>
      Effect.suspend(() => (isMessage(message) ? this.link.send(this, message) : Effect.die(notAMessage(message))))
  }

  get receive(): Effect.Effect<Message, ConnectionError> {
    const take = Effect.sync(() => this.link.take(this))
    const receive: Effect.Effect<Message, ConnectionError> = Effect.withFiberRuntime((fiber, { runtimeFlags }) =>
      this.link.receive(this, fiber, RuntimeFlags.interruptible(runtimeFlags), receive, take)
    )
    return receive
  }

  get receiveChunk(): Effect.Effect<Chunk.NonEmptyChunk<Message>, ConnectionError> {
    // Not empty: it is only taken from when something is there.
    const take = Effect.sync(() => Chunk.unsafeFromArray(this.link.takeAll(this)) as Chunk.NonEmptyChunk<Message>)
    const receive: Effect.Effect<Chunk.NonEmptyChunk<Message>, ConnectionError> = Effect.withFiberRuntime(
      (fiber, { runtimeFlags }) =>
        this.link.receive(this, fiber, RuntimeFlags.interruptible(runtimeFlags), receive, take)
    )
    return receive
  }

  get messages(): Stream.Stream<Message, ConnectionError> {
    // A channel by hand: Stream's own loops cost half as much again for each message, and they must come one by one.
    const { receive } = this
    const all: Channel.Channel<Chunk.Chunk<Message>, unknown, ConnectionError> = Channel.flatMap(
      Channel.fromEffect(receive),
      (message) => Channel.flatMap(Channel.write(Chunk.of(message)), () => all)
    )
    return Stream.fromChannel(
      Channel.catchAll(all, (error) =>
        error._tag === "ConnectionClosedError" && (error.code === 1000 || error.code === 1005)
          ? Channel.void
          : Channel.fail(error)
      )
    )
  }

  get ping(): Effect.Effect<Duration.Duration, ConnectionError> {
    return this.link.ping(this)
  }

  get info(): Effect.Effect<ConnectionInfo> {
    return Effect.sync(() => infoOf(this.link))
  }

  get discard(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.isDiscarded = true
    })
  }

  get close(): (code?: number, reason?: string) => Effect.Effect<void> {
    return (code = 1000, reason = "") =>
      Effect.sync(() => {
        if (this.link.lease !== this) return
        this.link.close(isSendable(code) ? code : 1000, cutReason(reason), "Local", "Closed")
      })
  }
}
