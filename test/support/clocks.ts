import * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import { aheadOf } from "#support/fibers"

/** The clock of a test whose two times can be moved apart from it, and from each other. */
export class MovableClock {
  private wallAhead = 0
  private ahead = 0n
  readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = aheadOf(
      clock,
      () => this.wallAhead,
      () => this.ahead
    )
  }

  /** Sets the wall clock forward, or back. */
  setWall(by: Duration.Input, direction: 1 | -1 = 1): void {
    this.wallAhead += direction * Duration.toMillis(by)
  }

  /** The program stands still for so long: time passes, and whatever is due meanwhile comes so much later. */
  holdUp(duration: Duration.Input): void {
    this.wallAhead += Duration.toMillis(duration)
    this.ahead += BigInt(Duration.toMillis(duration)) * 1_000_000n
  }
}

/** Made from the clock in use. A pool that is made with it goes by it; the test's own clock stays in charge. */
export const makeMovable: Effect.Effect<MovableClock> = Effect.map(
  Clock.clockWith(Effect.succeed),
  (clock) => new MovableClock(clock)
)
