/**
 * A clock that a test drives. Effect 4's own goes on to the next sleeper after one turn of the event loop, while fibers that
 * yield still run; this one lets everybody come to rest first, as Effect 3's does.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scheduler from "effect/Scheduler"

interface Sleep {
  readonly at: number
  readonly wake: () => void
}

/** What fibers have scheduled and has not run yet. */
class Tasks {
  pending = 0

  schedulerLike(own: Scheduler.Scheduler): Scheduler.Scheduler {
    return {
      executionMode: own.executionMode,
      shouldYield: (fiber) => own.shouldYield(fiber),
      makeDispatcher: () => {
        const dispatcher = own.makeDispatcher()
        return {
          scheduleTask: (task, priority) => {
            this.pending += 1
            dispatcher.scheduleTask(() => {
              this.pending -= 1
              task()
            }, priority)
          },
          flush: () => dispatcher.flush()
        }
      }
    }
  }
}

/** After so many turns of the event loop in which no fiber had anything to do, everybody rests. */
const calm = 10

/** After so many real milliseconds somebody never will. */
const longest = 250

class TestClock implements Clock.Clock {
  private now = 0
  private readonly sleeps = new Set<Sleep>()

  constructor(private readonly tasks: Tasks) {}

  private readonly rest: Effect.Effect<void> = Effect.suspend(() => {
    const end = performance.now() + longest
    const after = (idle: number): Effect.Effect<void> =>
      idle === calm || performance.now() > end
        ? Effect.void
        : Effect.flatMap(Effect.yieldNow, () => after(this.tasks.pending === 0 ? idle + 1 : 0))
    return after(0)
  })

  currentTimeMillisUnsafe(): number {
    return this.now
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.floor(this.now * 1e6))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return resume(Effect.void)
      const sleep = { at: this.now + millis, wake: () => resume(Effect.void) }
      this.sleeps.add(sleep)
      return Effect.sync(() => this.sleeps.delete(sleep))
    })
  }

  setTime(end: number): Effect.Effect<void> {
    const goOn: Effect.Effect<void> = Effect.flatMap(this.rest, () => {
      const due = Array.from(this.sleeps).filter(({ at }) => at <= end)
      const at = Math.min(...due.map(({ at }) => at))
      // It may be set back.
      this.now = due.length === 0 ? end : Math.max(this.now, at)
      if (due.length === 0) return Effect.void
      for (const sleep of due) {
        if (sleep.at > at || !this.sleeps.delete(sleep)) continue
        sleep.wake()
      }
      return goOn
    })
    return Effect.andThen(goOn, this.rest)
  }

  adjust(duration: Duration.Input): Effect.Effect<void> {
    return Effect.suspend(() => this.setTime(this.now + Duration.toMillis(Duration.fromInputUnsafe(duration))))
  }
}

const clockWith = <A>(f: (clock: TestClock) => Effect.Effect<A>): Effect.Effect<A> =>
  Clock.clockWith((clock) =>
    clock instanceof TestClock ? f(clock) : Effect.die(new Error("there is no clock that a test drives"))
  )

export const adjust = (duration: Duration.Input): Effect.Effect<void> => clockWith((clock) => clock.adjust(duration))

export const setTime = (millis: number): Effect.Effect<void> => clockWith((clock) => clock.setTime(millis))

export const currentTimeMillis: Effect.Effect<number> = Clock.currentTimeMillis

/** Runs an effect on a clock of its own. */
export const driven = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(References.Scheduler, (scheduler) => {
    const tasks = new Tasks()
    return effect.pipe(
      Effect.provideService(Clock.Clock, new TestClock(tasks)),
      Effect.provideService(References.Scheduler, tasks.schedulerLike(scheduler))
    )
  })
