import { thrown } from "#edition/messages/parseFailure"
import * as Exit from "#effect/Exit"
import type * as Schema from "#effect/Schema"
import { isMessage, type Message } from "../values/message.js"
import type { WideCodec } from "./api.js"
import type { Aside, Incoming } from "./incoming.js"

/** A codec that somebody else wrote: it may throw, and give what it must not. */
export class GuardedCodec<Request, Item, E> {
  constructor(private readonly codec: WideCodec<Request, Item, E>) {}

  /** A message, or why there is none. */
  encode(id: number, request: Request): Message | Exit.Exit<never, Schema.SchemaError> {
    try {
      const message = this.codec.encode(id, request)
      if (!isMessage(message)) throw new TypeError("encode has to give a string or a Uint8Array")
      return message
    } catch (error) {
      return Exit.fail(thrown("encode, given", request, error))
    }
  }

  /** `undefined`: it cannot be understood. */
  decode(message: Message): ReadonlyArray<Incoming<Item, E> | Aside> | undefined {
    try {
      const incoming: unknown = this.codec.decode(message)
      return Array.isArray(incoming) && incoming.every(isIncoming) ? incoming : undefined
    } catch {
      return undefined
    }
  }

  leaves(id: number): boolean {
    return this.codec.leaves?.(id) === true
  }

  /** `undefined`: the server cannot be told, and its answer is waited for. */
  cancel(id: number): Message | undefined {
    return attempt(() => this.codec.cancel?.(id))
  }

  ack(id: number): Message | undefined {
    return this.codec.ack && attempt(() => this.codec.ack?.(id))
  }

  waits(): void {
    this.codec.waits?.()
  }

  withdrawn(id: number): void {
    this.codec.withdrawn?.(id)
  }
}

const attempt = (write: () => Message | undefined): Message | undefined => {
  try {
    const message = write()
    return isMessage(message) ? message : undefined
  } catch {
    return undefined
  }
}

/** What it says of requests, and nothing else. An id that is none of a request belongs to nobody, as any other. */
const isIncoming = (one: Partial<Incoming<unknown, unknown> | Aside> | null | undefined): boolean => {
  switch (one?._tag) {
    case "End":
      return Exit.isExit(one.exit)
    case "Item":
    case "Refused":
    case "Notice":
    case "Retire":
    case "Settled":
    case "Reply":
    case "Task":
      return true
    default:
      return false
  }
}
