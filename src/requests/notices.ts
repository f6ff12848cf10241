import type { Fork } from "#dialect"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import { noEffect } from "../pool/hooks.js"

/** Past so many the oldest are dropped: a handler that hangs must not take all the memory there is. */
const mostWaiting = 65_536

export type OnNotice = (value: unknown, connectionId: string) => Effect.Effect<unknown, unknown>

/** Hands the notices of one connection to their handler, in order, one at a time. */
export class Notices {
  private waiting: Array<unknown> = []
  private isRunning = false

  constructor(
    private readonly connectionId: string,
    private readonly handle: OnNotice,
    private readonly fork: Fork,
    private readonly onStarted: (fiber: Fiber.Fiber<unknown, unknown>) => void,
    private readonly onDropped: () => void
  ) {}

  add(value: unknown): void {
    this.waiting.push(value)
    if (this.waiting.length > mostWaiting) {
      this.waiting.shift()
      this.onDropped()
    }
    if (this.isRunning) return
    this.isRunning = true
    this.onStarted(this.fork(Effect.interruptible(this.run), { immediate: false }))
  }

  private readonly run: Effect.Effect<void> = Effect.suspend(() => {
    if (this.waiting.length === 0) {
      this.isRunning = false
      return Effect.void
    }
    const value = this.waiting.shift()
    const handled = Effect.suspend(() => {
      const given: unknown = this.handle(value, this.connectionId)
      return Effect.isEffect(given)
        ? (given as ReturnType<OnNotice>)
        : Effect.die(new TypeError(noEffect("onNotice", given)))
    })
    const reported = Effect.catchCause(handled, (cause) =>
      Effect.logWarning("onNotice has failed", cause).pipe(Effect.annotateLogs("connectionId", this.connectionId))
    )
    return Effect.flatMap(reported, () => this.run)
  })
}
