interface Handle {
  readonly bytesRead?: unknown
  /** Bytes handed to the system, waiting ones included. */
  readonly bytesWritten?: unknown
  /** The waiting ones. */
  readonly writeQueueSize?: unknown
  /** Of a TLS handle: that of the line beneath. */
  readonly _parent?: Handle | null
}

/** The part of a `net.Socket` that shows what moves. An agent may bring a stream of its own that lacks some of it. */
export interface RawSocket {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  readonly writableLength?: number
  readonly _handle?: Handle | null
  cork?(): void
  uncork?(): void
}

/** What a line has moved so far. */
export interface Traffic {
  readonly read: number
  /** Bytes that the system has taken. */
  readonly taken: number
  /** Bytes that wait until the system takes them. */
  readonly waiting: number
}

/**
 * The public counters see a chunk only when all of it has been written, however large it is, and a TLS record
 * when all of it has been read. The handle knows better; Node's own socket timeout looks at its `writeQueueSize`
 * too. It is no public property: without it, the public counters must do.
 */
export const trafficOf = ({ _handle, bytesRead = 0, bytesWritten = 0, writableLength = 0 }: RawSocket): Traffic => {
  const line = _handle?._parent ?? _handle
  return typeof line?.bytesRead === "number" &&
    typeof line.bytesWritten === "number" &&
    typeof line.writeQueueSize === "number"
    ? { read: line.bytesRead, taken: line.bytesWritten - line.writeQueueSize, waiting: line.writeQueueSize }
    : { read: bytesRead, taken: bytesWritten - writableLength, waiting: writableLength }
}
