import * as Effect from "#effect/Effect"
import { cancellable } from "../core/cancellable.js"
import type { ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import type { Connections } from "./connections.js"

export type Ready = Effect.Effect<void, ConnectionUnavailableError | PoolClosedError>

/** Whether `minConnections` are open, and who waits for that. */
export class Readiness {
  private readonly expectant = new Set<(ready: Ready) => void>()

  constructor(private readonly connections: Connections) {}

  // All of it in the step that joins those who wait: what happened after an earlier look would never be told.
  readonly ready: Ready = cancellable((resume) => {
    const outcome = this.outcome
    if (outcome === undefined) this.expectant.add(resume)
    else resume(outcome)
    return () => {
      this.expectant.delete(resume)
      return undefined
    }
  })

  private get outcome(): Ready | undefined {
    if (this.connections.pool.state !== "open") return this.connections.poolClosed()
    if (this.isReady) return Effect.void
    const held = this.connections.opening.heldOff()
    return held === undefined ? undefined : Effect.fail(held)
  }

  private get isReady(): boolean {
    const { kept, min } = this.connections.pool
    return kept >= min
  }

  /** A connection is open, or there is a new limit; or keeping `minConnections` has failed for now. */
  onReady(failure?: ConnectionUnavailableError): void {
    if (failure !== undefined) this.tell(Effect.fail(failure))
    else if (this.expectant.size > 0 && this.isReady) this.tell(Effect.void)
  }

  /** The pool closes: nobody waits any more. */
  close(): void {
    this.tell(this.connections.poolClosed())
  }

  private tell(ready: Ready): void {
    for (const resume of this.expectant) resume(ready)
    this.expectant.clear()
  }
}
