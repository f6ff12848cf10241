import { millisOf } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import type { WebSocketPool } from "../pool/api.js"
import { inspect } from "../pool/service.js"
import { History, interval } from "./history.js"
import { sharedOf } from "./requests.js"
import { namesOf } from "./snapshot.js"

/** One of the pools of a recorder. */
export interface Recorded {
  readonly pool: WebSocketPool
  /** As it is shown: pools of one name are numbered. */
  readonly name: string | null
  readonly history: History
}

/**
 * Keeps the history of some pools while somebody holds it: a page that is open, or the scope of a recording. What it
 * has recorded outlasts that, so that a page that is loaded again goes on where it was.
 */
export class Recorder {
  readonly pools: ReadonlyArray<Recorded>
  private readonly clock: { current: Clock.Clock | undefined } = { current: undefined }
  private holders = 0
  private stop: Effect.Effect<void> = Effect.void

  constructor(pools: ReadonlyArray<WebSocketPool>) {
    const names = namesOf(pools)
    const now = () => (this.clock.current === undefined ? 0 : millisOf(this.clock.current))
    this.pools = pools.map((pool, index) => ({ pool, name: names[index] ?? null, history: new History(now) }))
  }

  /** Records until the scope closes. */
  readonly hold: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
    Effect.suspend(() => {
      this.holders += 1
      return this.holders === 1 ? this.start : Effect.void
    }),
    () =>
      Effect.suspend(() => {
        this.holders -= 1
        return this.holders === 0 ? this.stop : Effect.void
      })
  )

  private readonly start: Effect.Effect<void> = Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) => {
    this.clock.current = clock
    const unwatch = this.pools.map(({ history, pool }) => inspect(pool)?.watch(history))
    const others = this.pools.filter((_, index) => unwatch[index] === undefined)
    const listening = Effect.forEach(
      others,
      ({ history, pool }) =>
        Effect.catchCause(
          Stream.runForEach(pool.events, (event) => Effect.sync(() => history.any(event))),
          (cause) => Effect.logDebug("A pool's events could not be recorded", cause)
        ),
      { concurrency: "unbounded", discard: true }
    )
    const recording = Effect.forever(Effect.delay(this.record, Duration.millis(interval)))
    // Of no page: it goes on when the one that has begun it is closed, and another is open.
    const going = Effect.forkDetach(
      Effect.interruptible(Effect.andThen(listening, Effect.never).pipe(Effect.zip(recording, { concurrent: true })))
    )
    return Effect.map(Effect.andThen(this.record, going), (fiber) => {
      this.stop = Effect.suspend(() => {
        for (const end of unwatch) end?.()
        return Fiber.interrupt(fiber)
      })
    })
  })

  private readonly record: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(
      this.pools,
      ({ history, pool }) =>
        // A pool of somebody else's making that cannot tell leaves a gap, for itself alone.
        Effect.catchCause(
          Effect.map(pool.stats, (stats) => history.record(stats, sharedOf(inspect(pool)?.sharers)?.requests)),
          () => Effect.void
        ),
      { discard: true }
    )
  )
}
