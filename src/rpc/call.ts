import * as Exit from "#effect/Exit"
import type { RequestEncoded } from "#effect/rpc/RpcMessage"
import { StreamCall } from "../requests/call.js"
import type { Refusal, Reply } from "./codec.js"

/**
 * One call of a client. Whether it has a stream shows when it is answered. Its server waits for an acknowledgement of each
 * chunk, so nothing bounds what is unread here but that.
 */
export class RpcCall extends StreamCall<RequestEncoded, Reply, Refusal> {
  constructor(request: RequestEncoded, deadline: number) {
    super(request, deadline, Number.POSITIVE_INFINITY, "fail")
  }

  /** Taken is not read: whoever reads says so by `acknowledge`. */
  protected override taken(): void {}

  acknowledge(): void {
    this.keeper?.consumed(this, true)
  }

  /** Its client wants no more of it, but whoever relays it goes on until this tells it to end. */
  stop(): void {
    if (this.state === "over") return
    this.abandon()
    this.ended(Exit.void)
  }
}
