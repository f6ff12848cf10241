import { currentSpan, isInterruptible, type NonEmpty, nonEmpty, streamOf, withFiber } from "#dialect"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Inspectable from "#effect/Inspectable"
import * as Predicate from "#effect/Predicate"
import type * as Stream from "#effect/Stream"
import { cancellable } from "../core/cancellable.js"
import type { SlotState } from "../core/slot.js"
import { cutReason, isSendable } from "../transport/closeFrame.js"
import type { ConnectionError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import { isMessage, notAMessage } from "../values/message.js"
import { type ConnectionInfo, type ConnectionState, TypeId, type WebSocketConnection } from "./handle.js"
import type { Kept } from "./holder.js"
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

/** Whether a connection that failed so has come to an end that its holder may have waited for. */
export const isEnd = (error: { readonly _tag: string; readonly code?: number }): boolean =>
  error._tag === "ConnectionClosedError" && (error.code === 1000 || error.code === 1005)

export const infoOf = (link: Link): ConnectionInfo => ({
  id: link.id,
  isRetiring: link.retirement !== undefined,
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
  /** What it was promised when it ended. */
  kept: Kept | undefined = undefined
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
    return JSON.stringify(this.toJSON(), null, 2)
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  get slot(): Link["slot"] {
    return this.link.slot
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
    const take = Effect.sync(() => this.link.inbox.takeFor(this))
    const receive: Effect.Effect<Message, ConnectionError> = withFiber((fiber, status) =>
      this.link.inbox.receive(this, fiber, isInterruptible(fiber, status), receive, take)
    )
    return receive
  }

  get receiveChunk(): Effect.Effect<NonEmpty<Message>, ConnectionError> {
    const take = Effect.sync(() => nonEmpty(this.link.inbox.takeAllFor(this)))
    const receive: Effect.Effect<NonEmpty<Message>, ConnectionError> = withFiber((fiber, status) =>
      this.link.inbox.receive(this, fiber, isInterruptible(fiber, status), receive, take)
    )
    return receive
  }

  get messages(): Stream.Stream<Message, ConnectionError> {
    const take = Effect.sync((): [Message] => [this.link.inbox.takeFor(this)])
    const receive: Effect.Effect<[Message], ConnectionError> = withFiber((fiber, status) =>
      this.link.inbox.receive(this, fiber, isInterruptible(fiber, status), receive, take)
    )
    return streamOf(receive, isEnd, () => false)
  }

  get ping(): Effect.Effect<Duration.Duration, ConnectionError> {
    return this.link.ping(this)
  }

  get info(): Effect.Effect<ConnectionInfo> {
    return Effect.sync(() => infoOf(this.link))
  }

  get retiring(): Effect.Effect<CloseReason> {
    return cancellable((resume) => this.link.onceRetiring(this, (reason) => resume(Effect.succeed(reason))))
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
