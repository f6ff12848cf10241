import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { Sender } from "../connection/tenancy.js"
import { LaggedError } from "../values/errors.js"
import type { Overflow, RequestError } from "./api.js"
import type { Nothing } from "./incoming.js"

/**
 * Where a call stands.
 *
 * - `waiting`: in line for a place on a connection
 * - `queued`: it has a place, and its message waits until the socket takes it
 * - `unsent`: its connection has ended before the socket took it
 * - `sent`: the socket has taken it, and the server may answer
 * - `over`: it has ended, or nobody waits for it any more
 */
export type CallState = "waiting" | "queued" | "unsent" | "sent" | "over"

/** Whoever has a call in hand: those it waits in line with, or its connection. */
export interface Keeper<Request, Item, E> {
  /** Nobody waits for it any more. */
  readonly abandon: (call: Call<Request, Item, E>) => void
  /** Its reader has taken something; `isDrained` says that it was all that came. */
  readonly consumed: (call: Call<Request, Item, E>, isDrained: boolean) => void
}

export type Failure<E> = E | RequestError

/** One request, from its start to its end. */
export abstract class Call<Request, Item, E> {
  state: CallState = "waiting"
  /** Its place is taken until the answer comes, which is for nobody. */
  isAbandoned = false
  id = 0
  keeper: Keeper<Request, Item, E> | undefined = undefined
  sender: Sender | undefined = undefined
  /** How often it has joined the line. */
  turns = 0
  /** Connections made just now that had ended before they took it. */
  stillborn = 0

  abstract readonly isStream: boolean
  /** Whether it has as much unread as it may. */
  get isFull(): boolean {
    return false
  }
  /** Whether nothing answers it: it is over when the socket has taken it. */
  readonly isOneWay: boolean = false

  constructor(
    readonly request: Request,
    /** Until when it may wait for a place. */
    readonly deadline: number
  ) {}

  /** It has come to its end, once. */
  end(exit: Exit.Exit<Item | Nothing, Failure<E>>): void {
    if (this.state === "over") return
    this.state = "over"
    this.keeper = undefined
    this.ended(exit)
  }

  protected abstract ended(exit: Exit.Exit<Item | Nothing, Failure<E>>): void

  abandon(): void {
    if (this.state !== "over") this.keeper?.abandon(this)
  }
}

/** A call with one answer. */
export class RequestCall<Request, Item, E> extends Call<Request, Item, E> {
  readonly isStream = false
  private exit: Exit.Exit<Item, Failure<E>> | undefined = undefined
  private resume: ((exit: Exit.Exit<Item, Failure<E>>) => void) | undefined = undefined

  /** Waits for the answer. It has no finaliser: whoever runs it abandons the call when it was interrupted. */
  readonly wait: Effect.Effect<Item, Failure<E>> = callback((resume) => {
    if (this.exit === undefined) this.resume = resume
    else resume(this.exit)
  })

  protected ended(exit: Exit.Exit<Item | Nothing, Failure<E>>): void {
    // A server that answers with nothing has nothing to say: whoever wrote the codec knows it.
    this.exit = exit as Exit.Exit<Item, Failure<E>>
    this.resume?.(this.exit)
  }
}

/** A call that nothing answers. */
export class TellCall<Request, Item, E> extends RequestCall<Request, Item, E> {
  override readonly isOneWay = true
}

/** Stands for the end of a stream where an error is wanted. */
export const streamEnd: unique symbol = Symbol.for("effect-websocket-pool/Multiplexer/streamEnd")
export type StreamEnd = typeof streamEnd

/** A call with any number of items. */
export class StreamCall<Request, Item, E> extends Call<Request, Item, E> {
  readonly isStream = true
  private items: Array<Item> = []
  private head = 0
  private exit: Exit.Exit<unknown, Failure<E> | LaggedError> | undefined = undefined
  private wake: (() => void) | undefined = undefined

  constructor(
    request: Request,
    deadline: number,
    private readonly bufferSize: number,
    private readonly overflow: Overflow
  ) {
    super(request, deadline)
  }

  get unread(): number {
    return this.items.length - this.head
  }

  override get isFull(): boolean {
    return this.unread >= this.bufferSize
  }

  /** Takes one more item in, and says whether it had room: `"Lagged"` if this is its end. */
  push(item: Item, isBounded: boolean): "Kept" | "Slid" | "Lagged" {
    const isOver = isBounded && this.isFull
    if (isOver && this.overflow === "fail") return "Lagged"
    if (isOver) this.shift()
    this.items.push(item)
    this.tell()
    return isOver ? "Slid" : "Kept"
  }

  /** What was kept comes first. */
  lag(connectionId: string): void {
    if (this.state === "over" && this.exit !== undefined) return
    this.state = "over"
    this.exit = Exit.fail(new LaggedError({ connectionId, bufferSize: this.bufferSize }))
    this.tell()
  }

  protected ended(exit: Exit.Exit<Item | Nothing, Failure<E>>): void {
    if (Exit.isSuccess(exit) && exit.value !== undefined) this.items.push(exit.value as Item)
    this.exit = exit
    this.tell()
  }

  /** The next item; it fails with `streamEnd` behind the last. One at a time, so that what is not asked for is unread. */
  readonly take: Effect.Effect<[Item], Failure<E> | LaggedError | StreamEnd> = Effect.suspend(() => {
    if (this.unread > 0) {
      const item = this.shift()
      this.taken()
      return Effect.succeed<[Item]>([item])
    }
    if (this.exit === undefined) {
      return callback<[Item], Failure<E> | LaggedError | StreamEnd>((resume) => {
        if (this.unread > 0 || this.exit !== undefined) resume(this.take)
        else this.wake = () => resume(this.take)
      })
    }
    return Exit.isSuccess(this.exit) ? Effect.fail(streamEnd) : Effect.failCause(this.exit.cause)
  })

  /** Its reader has taken an item. */
  protected taken(): void {
    this.keeper?.consumed(this, this.unread === 0)
  }

  private shift(): Item {
    const item = this.items[this.head]!
    this.head += 1
    if (this.head === this.items.length) {
      this.items = []
      this.head = 0
    } else if (this.head >= 1024 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  private tell(): void {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }
}
