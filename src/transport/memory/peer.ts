/** The server's end of a connection in memory. */
import type * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import type { ConnectionClosedError } from "../../values/errors.js"
import type { Message } from "../../values/message.js"

/**
 * The server's end of an in-memory connection.
 *
 * @category memory
 * @since 0.1.0
 */
export interface MemoryPeer {
  /** The URL that the client asked for. */
  readonly url: string
  /** The header fields that the client sent; each is found by its name in lower case and as it was given. */
  readonly headers: Readonly<Record<string, string>>
  /** The negotiated subprotocol: the first that the client offered, `""` if none. */
  readonly protocol: string
  /** Sends a message to the client; waits while the client has stopped reading. */
  readonly send: (message: Message) => Effect.Effect<void, ConnectionClosedError>
  /** The client's next message; fails once the client has closed and all has been read. */
  readonly receive: Effect.Effect<Message, ConnectionClosedError>
  /** Begins the closing handshake (1000 unless told otherwise). */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** Cuts the line: the client sees 1006. */
  readonly destroy: Effect.Effect<void>
  /** Makes the line half-open: from now on nothing gets through, in either direction, not even its end. */
  readonly silence: Effect.Effect<void>
}

/**
 * What the client asks of an in-memory server in the handshake.
 *
 * @category memory
 * @since 0.1.0
 */
export interface MemoryHandshake {
  /** The URL that the client asks for. */
  readonly url: string
  /** The header fields that the client sends; each is found by its name in lower case and as it was given. */
  readonly headers: Readonly<Record<string, string>>
  /** The subprotocols that the client offers. */
  readonly protocols: ReadonlyArray<string>
}

/**
 * How an in-memory server refuses an upgrade.
 *
 * @category memory
 * @since 3.0.0
 */
export interface MemoryRefusal {
  /** The HTTP status. */
  readonly status: number
  /** How long the client is asked to wait (`Retry-After`). It counts with 408, 425, 429 and 503. Default: not said. */
  readonly retryAfter?: Duration.Input | undefined
}
