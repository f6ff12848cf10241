import type { CloseInfo } from "../transport/seam.js"
import type { CloseInitiator } from "../values/reasons.js"

/** How a connection has ended, or is about to. */
export interface End {
  readonly code: number
  readonly reason: string
  readonly initiator: CloseInitiator
}

/** Before our side has begun to close, only a breach of the protocol makes it end a connection. */
export const isProtocolError = ({ code, initiator }: CloseInfo): boolean =>
  initiator === "Local" || code === 1002 || code === 1007 || code === 1009
