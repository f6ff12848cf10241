import { callback, streamOf } from "#dialect"
import type { NonEmptyArray } from "#effect/Array"
import * as Effect from "#effect/Effect"
import * as Stream from "#effect/Stream"
import type { QuotaEvent } from "../values/quotaEvents.js"

/** Events kept for a subscriber that lags behind. */
const longestLag = 1024

/** One who listens, and what it has not taken yet. */
class Listener {
  private pending: Array<QuotaEvent> = []
  private wake: ((effect: Effect.Effect<void>) => void) | undefined = undefined

  hear(event: QuotaEvent): void {
    this.pending.push(event)
    if (this.pending.length > longestLag) this.pending.shift()
    const { wake } = this
    this.wake = undefined
    wake?.(Effect.void)
  }

  /** All there is, taken in the step that gives it on: no interruption comes in between. */
  readonly take: Effect.Effect<NonEmptyArray<QuotaEvent>> = Effect.suspend(() => {
    if (this.pending.length === 0) {
      const heard = callback<void>((resume) => {
        // The scheduler may have let others go first.
        if (this.pending.length > 0) resume(Effect.void)
        else this.wake = resume
      })
      return Effect.flatMap(heard, () => this.take)
    }
    return Effect.sync(() => {
      const events = this.pending
      this.pending = []
      return events as NonEmptyArray<QuotaEvent>
    })
  })
}

/** Tells events to whoever listens; while nobody does, none is made. */
export class Broadcast {
  private readonly listeners = new Set<Listener>()

  tell(event: () => QuotaEvent): void {
    if (this.listeners.size === 0) return
    const told = event()
    for (const listener of this.listeners) listener.hear(told)
  }

  readonly stream: Stream.Stream<QuotaEvent> = Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = new Listener()
          this.listeners.add(listener)
          return listener
        }),
        (listener) => Effect.sync(() => this.listeners.delete(listener))
      ),
      ({ take }) =>
        streamOf(
          take,
          () => false,
          () => false
        )
    )
  )
}
