import { isInterruptible, type NonEmpty, nonEmpty, streamOf, toArray, withFiber } from "#dialect"
import * as Cause from "#effect/Cause"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Inspectable from "#effect/Inspectable"
import type * as Schema from "#effect/Schema"
import type * as Stream from "#effect/Stream"
import type { ConnectionInfo, WebSocketConnection } from "../connection/handle.js"
import { isEnd, Lease } from "../connection/lease.js"
import { isReceiving } from "../connection/reading.js"
import { ConnectionBusyError, type ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import { type Codec, exitOf, json as jsonCodec, message as messageCodec } from "./codec.js"
import type { Schemas, TypedConnection } from "./views.js"

/**
 * What has been taken from a lease and not been delivered yet, in order: nothing leaves it before the step in which
 * the receiver has it. All typed views of a lease share it.
 */
class Undelivered {
  private messages: ReadonlyArray<Message> = []
  private head = 0
  /** Who is taking or decoding right now, unless it was interrupted. */
  reader: { readonly fiber: Fiber.Fiber<unknown, unknown>; readonly isInterruptible: boolean } | undefined = undefined

  get length(): number {
    return this.messages.length - this.head
  }

  at(index: number): Message {
    return this.messages[this.head + index]!
  }

  /** Only when it is empty. */
  put(messages: ReadonlyArray<Message>): void {
    this.messages = messages
    this.head = 0
  }

  drop(count: number): void {
    this.head += count
    if (this.length === 0) this.put([])
  }
}

const shared = new WeakMap<WebSocketConnection, Undelivered>()

const undeliveredOf = (connection: WebSocketConnection): Undelivered => {
  const known = shared.get(connection)
  if (known !== undefined) return known
  const undelivered = new Undelivered()
  shared.set(connection, undelivered)
  return undelivered
}

type Failure = ConnectionError | Schema.SchemaError

/** A view of a lease in which messages are values. */
class TypedView<in Send, out Receive, out RSend, out RReceive>
  implements TypedConnection<Send, Receive, RSend, RReceive>
{
  private readonly undelivered: Undelivered

  constructor(
    readonly untyped: WebSocketConnection,
    private readonly codec: Codec<Send, Receive, RSend, RReceive>
  ) {
    this.undelivered = undeliveredOf(untyped)
  }

  // It may hold messages that are not delivered: neither a log line nor a failed assertion may show them.

  toJSON(): unknown {
    return { _id: "TypedConnection", id: this.id }
  }

  toString(): string {
    return JSON.stringify(this.toJSON(), null, 2)
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  get id(): string {
    return this.untyped.id
  }

  get protocol(): string {
    return this.untyped.protocol
  }

  get send(): (value: Send) => Effect.Effect<void, Failure, RSend> {
    return (value) =>
      Effect.flatMap(
        Effect.suspend(() => this.codec.encode(value)),
        this.untyped.send
      )
  }

  get receive(): Effect.Effect<Receive, Failure, RReceive> {
    const { undelivered, untyped } = this
    return this.reading(untyped.receive, (message) => {
      if (message !== undefined) undelivered.put([message])
      return this.decodeNext()
    })
  }

  get receiveChunk(): Effect.Effect<NonEmpty<Receive>, Failure, RReceive> {
    const { undelivered, untyped } = this
    return this.reading(untyped.receiveChunk, (messages) => {
      if (messages !== undefined) undelivered.put(toArray(messages))
      return this.decodeAll([])
    })
  }

  get messages(): Stream.Stream<Receive, Failure, RReceive> {
    return streamOf(
      Effect.map(this.receive, (value): [Receive] => [value]),
      isEnd,
      () => false
    )
  }

  get ping(): Effect.Effect<Duration.Duration, ConnectionError> {
    return this.untyped.ping
  }

  get info(): Effect.Effect<ConnectionInfo> {
    return this.untyped.info
  }

  get discard(): Effect.Effect<void> {
    return this.untyped.discard
  }

  get close(): (code?: number, reason?: string) => Effect.Effect<void> {
    return this.untyped.close
  }

  /**
   * Decodes what is undelivered, after taking something if nothing is; one fiber at a time. What was taken has to be
   * put away where it arrives: in a step of its own it would be lost if an interruption came in between.
   */
  private reading<T, A>(
    take: Effect.Effect<T, ConnectionError>,
    decode: (taken?: T) => Effect.Effect<A, Schema.SchemaError, RReceive>
  ): Effect.Effect<A, Failure, RReceive> {
    const { undelivered, untyped } = this
    return withFiber((fiber, status) => {
      const { reader } = undelivered
      if (reader !== undefined && reader.fiber !== fiber && isReceiving(reader)) return this.busy("Receiving")
      if (undelivered.length > 0 && untyped instanceof Lease && untyped.isOver) return this.busy("Released")
      undelivered.reader = { fiber, isInterruptible: isInterruptible(fiber, status) }
      if (undelivered.length > 0) return decode()
      return Effect.matchEffect(take, {
        onFailure: (error) => {
          undelivered.reader = undefined
          return Effect.fail(error)
        },
        onSuccess: decode
      })
    })
  }

  private busy(reason: ConnectionBusyError["reason"]): Effect.Effect<never, ConnectionBusyError> {
    return Effect.fail(new ConnectionBusyError({ connectionId: this.id, reason }))
  }

  private decodeNext(): Effect.Effect<Receive, Schema.SchemaError, RReceive> {
    const decoded = this.codec.decode(this.undelivered.at(0))
    const exit = exitOf(decoded)
    if (exit === undefined) {
      return Effect.matchCauseEffect(decoded, {
        onFailure: (cause) => this.refuse(cause),
        onSuccess: (value) => this.deliver(1, value)
      })
    }
    return Exit.isSuccess(exit) ? this.deliver(1, exit.value) : this.refuse(exit.cause)
  }

  /** Decodes up to the first message that does not match: that one, and what is behind it, is for the next time. */
  private decodeAll(values: Array<Receive>): Effect.Effect<NonEmpty<Receive>, Schema.SchemaError, RReceive> {
    const { codec, undelivered } = this
    while (values.length < undelivered.length) {
      const decoded = codec.decode(undelivered.at(values.length))
      const exit = exitOf(decoded)
      if (exit === undefined) {
        return Effect.matchCauseEffect(decoded, {
          onFailure: (cause) => (isNonEmpty(values) ? this.deliverAll(values) : this.refuse(cause)),
          onSuccess: (value) => {
            values.push(value)
            return this.decodeAll(values)
          }
        })
      }
      if (Exit.isSuccess(exit)) values.push(exit.value)
      else if (isNonEmpty(values)) return this.deliverAll(values)
      else return this.refuse(exit.cause)
    }
    return this.deliverAll(values as [Receive, ...Array<Receive>])
  }

  private deliverAll(values: [Receive, ...Array<Receive>]): Effect.Effect<NonEmpty<Receive>> {
    return this.deliver(values.length, nonEmpty(values))
  }

  /** A single step, whose result the receiver's fiber gets before it can be interrupted. */
  private deliver<A>(count: number, value: A): Effect.Effect<A> {
    return Effect.sync(() => {
      this.undelivered.reader = undefined
      this.undelivered.drop(count)
      return value
    })
  }

  /** Passes the next message over if it does not match. One whose receiver was interrupted is kept. */
  private refuse(cause: Cause.Cause<Schema.SchemaError>): Effect.Effect<never, Schema.SchemaError> {
    this.undelivered.reader = undefined
    if (!Cause.hasInterrupts(cause)) this.undelivered.drop(1)
    return Effect.failCause(cause)
  }
}

const isNonEmpty = <A>(values: Array<A>): values is [A, ...Array<A>] => values.length > 0

export const json = <A, IA, RA, B, IB, RB>(
  connection: WebSocketConnection,
  schemas: Schemas<A, IA, RA, B, IB, RB>
): TypedConnection<A, B, RA, RB> => new TypedView(connection, jsonCodec(schemas))

export const message = <A, IA extends Message, RA, B, IB extends Message, RB>(
  connection: WebSocketConnection,
  schemas: Schemas<A, IA, RA, B, IB, RB>
): TypedConnection<A, B, RA, RB> => new TypedView(connection, messageCodec(schemas))
