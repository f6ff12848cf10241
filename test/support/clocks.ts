import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** The clock of a test whose two times can be moved apart from it, and from each other. */
export class MovableClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private wallAhead = 0
  private ahead = 0n

  constructor(private readonly clock: Clock.Clock) {}

  /** Sets the wall clock forward, or back. */
  setWall(by: Duration.DurationInput, direction: 1 | -1 = 1): void {
    this.wallAhead += direction * Duration.toMillis(by)
  }

  /** The program stands still for so long: time passes, and whatever is due meanwhile comes so much later. */
  holdUp(duration: Duration.DurationInput): void {
    this.wallAhead += Duration.toMillis(duration)
    this.ahead += BigInt(Duration.toMillis(duration)) * 1_000_000n
  }

  unsafeCurrentTimeMillis(): number {
    return this.clock.unsafeCurrentTimeMillis() + this.wallAhead
  }

  unsafeCurrentTimeNanos(): bigint {
    return this.clock.unsafeCurrentTimeNanos() + this.ahead
  }

  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return this.clock.sleep(duration)
  }
}

/** Made from the clock in use. A pool that is made with it goes by it; the test's own clock stays in charge. */
export const makeMovable: Effect.Effect<MovableClock> = Effect.map(Effect.clock, (clock) => new MovableClock(clock))
