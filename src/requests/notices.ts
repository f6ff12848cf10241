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
  /** Those before it are gone: to shift a long array for each would cost its length. */
  private head = 0
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
    if (this.waiting.length - this.head > mostWaiting) {
      this.shift()
      this.onDropped()
    }
    if (this.isRunning) return
    this.isRunning = true
    this.onStarted(this.fork(Effect.interruptible(this.run), { immediate: false }))
  }

  private shift(): unknown {
    const value = this.waiting[this.head]
    this.waiting[this.head] = undefined
    this.head += 1
    if (this.head > mostWaiting) {
      this.waiting = this.waiting.slice(this.head)
      this.head = 0
    }
    return value
  }

  private readonly run: Effect.Effect<void> = Effect.suspend(() => {
    if (this.head === this.waiting.length) {
      this.waiting = []
      this.head = 0
      this.isRunning = false
      return Effect.void
    }
    const value = this.shift()
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
