/** Fibers, causes and services from outside, for Effect 4. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual, identity } from "effect/Function"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"

/** How a fiber has ended, if it has. */
export const poll = <A, E>(fiber: Fiber.Fiber<A, E>): Exit.Exit<A, E> | undefined => fiber.pollUnsafe()

/** Those that were interrupted by what they do themselves, before the step in which they notice. */
let interrupted: Array<Fiber.Fiber<unknown, unknown>> = []

/** Interrupts a fiber, and waits for nothing. */
export const interruptNow = (fiber: Fiber.Fiber<unknown, unknown> | undefined): void => {
  // One that runs would end in the step after the next one, even where nothing can be interrupted: only a scheduler can
  // bring that about. So it gives way, and is interrupted meanwhile.
  if (fiber !== undefined && fiber === Fiber.getCurrent() && isAsked) interrupted.push(fiber)
  else fiber?.interruptUnsafe()
}

/** Whether a scheduler of a test is being asked whether to give way. */
let isAsked = false

/** Asks, and says what is to be done before the fiber goes on, if it gives way. */
const ask = (mayYield: () => boolean, before: (f: () => void) => void): boolean => {
  isAsked = true
  let gives = false
  try {
    gives = mayYield()
  } finally {
    isAsked = false
  }
  const fibers = interrupted
  interrupted = []
  for (const fiber of fibers) before(() => fiber.interruptUnsafe())
  return gives || fibers.length > 0
}

export const failuresOf = <E>({ reasons }: Cause.Cause<E>): ReadonlyArray<E> =>
  reasons.filter(Cause.isFailReason).map(({ error }) => error)

export const defectsOf = ({ reasons }: Cause.Cause<unknown>): ReadonlyArray<unknown> =>
  reasons.filter(Cause.isDieReason).map(({ defect }) => defect)

/** Logs nothing. */
export const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

export const withClock: {
  (clock: Clock.Clock): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock.Clock): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock.Clock) =>
  Effect.provideService(effect, Clock.Clock, clock)
)

/** With random numbers that a seed decides, one sequence for all. */
export const seeded = (
  seed: string | number
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const random = Effect.runSync(Random.withSeed(Random.Random, seed))
  return Effect.provideService(Random.Random, random)
}

/** With these numbers between 0 and 1, over and over. */
export const randomly = (
  values: [number, ...Array<number>]
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  let index = 0
  const next = () => values[index++ % values.length]!
  return Effect.provideService(Random.Random, {
    nextDoubleUnsafe: next,
    nextIntUnsafe: () => Math.floor(next() * 2 ** 32)
  })
}

/** With the variables of a configuration. */
export const withConfig = (
  variables: Readonly<Record<string, string>>
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(variables))

/** The same as a layer. */
export const configLayer = (variables: Readonly<Record<string, string>>): Layer.Layer<never> =>
  ConfigProvider.layer(ConfigProvider.fromUnknown(variables))

/** A clock by hand. `wait` wakes after so many milliseconds, and gives what cancels that. */
export const clockOf = (now: () => number, wait: (millis: number, wake: () => void) => () => void): Clock.Clock => {
  const nanos = () => BigInt(Math.floor(now() * 1e6))
  return {
    currentTimeMillisUnsafe: now,
    currentTimeNanosUnsafe: nanos,
    monotonicTimeNanosUnsafe: nanos,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback((resume) => {
        const cancel = wait(Duration.toMillis(duration), () => resume(Effect.void))
        return Effect.sync(cancel)
      })
  }
}

/** A clock whose wall goes ahead of another one's by so many milliseconds, and its monotonic time by nanoseconds. */
export const aheadOf = (clock: Clock.Clock, millis: () => number, nanos: () => bigint): Clock.Clock => {
  const wall = () => clock.currentTimeMillisUnsafe() + millis()
  const wallNanos = () => clock.currentTimeNanosUnsafe() + BigInt(millis()) * 1_000_000n
  const monotonic = () => clock.monotonicTimeNanosUnsafe() + nanos()
  return {
    currentTimeMillisUnsafe: wall,
    currentTimeNanosUnsafe: wallNanos,
    monotonicTimeNanosUnsafe: monotonic,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanos: Effect.sync(wallNanos),
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => clock.sleep(duration)
  }
}

/** How the steps of fibers are run by hand. */
export interface Steps {
  readonly schedule: (task: () => void) => void
  readonly mayYield: () => boolean
}

let live = 0

const metrics: Metric.FiberRuntimeMetricsService = {
  recordFiberStart: () => {
    live += 1
  },
  recordFiberEnd: () => {
    live -= 1
  }
}

/** A scheduler by hand. */
export const schedulerOf = ({ mayYield, schedule }: Steps): Scheduler.Scheduler => ({
  executionMode: "async",
  shouldYield: () => ask(mayYield, schedule),
  makeDispatcher: () => ({ scheduleTask: schedule, flush: () => {} })
})

export const withScheduler = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  scheduler: Scheduler.Scheduler
): Effect.Effect<A, E, R> => Effect.provideService(effect, References.Scheduler, scheduler)

/** Starts a fiber whose steps are run by hand, and those that it starts. */
export const forkStepwise = <A, E>(
  effect: Effect.Effect<A, E>,
  steps: Steps,
  { immediate = true }: { readonly immediate?: boolean } = {}
): Fiber.Fiber<A, E> =>
  Effect.runFork(
    Effect.provideService(
      immediate ? effect : Effect.andThen(Effect.yieldNow, effect),
      Metric.FiberRuntimeMetrics,
      metrics
    ),
    { scheduler: schedulerOf(steps) }
  )

/** Calls a function, and gives to `schedule` what would happen in microtasks. */
export const withoutMicrotasks = <A>(schedule: (task: () => void) => void, f: () => A): A => {
  const real = globalThis.queueMicrotask
  globalThis.queueMicrotask = schedule
  try {
    return f()
  } finally {
    globalThis.queueMicrotask = real
  }
}

/** How many fibers there are of those that were started so, and of those that they have started. */
export const liveFibers = (): number => live

/** Runs an effect once, and as often again. */
export const repeated = <A, E, R>(effect: Effect.Effect<A, E, R>, times: number): Effect.Effect<A, E, R> =>
  times <= 0 ? effect : Effect.flatMap(effect, () => repeated(effect, times - 1))

/** Runs effects so that it is known how many of the fibers that they have started are there. */
export const tracking: Effect.Effect<{
  readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly count: Effect.Effect<number>
}> = Effect.sync(() => {
  let count = 0
  const counter: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      count += 1
    },
    recordFiberEnd: () => {
      count -= 1
    }
  }
  return {
    track: Effect.provideService(Metric.FiberRuntimeMetrics, counter),
    count: Effect.sync(() => count)
  }
})

/** A value that fibers inherit, besides their services. */
export const makeInherited = (initial: string) => {
  const ref = Context.Reference<string>("test/inherited", { defaultValue: () => initial })
  return {
    get: Effect.map(ref, (value) => value),
    set:
      (value: string) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.provideService(effect, ref, value)
  }
}

/** Whether the fiber that runs can be interrupted. */
export const isInterruptibleHere: Effect.Effect<boolean> = Effect.uninterruptibleMask((restore) =>
  Effect.succeed(restore !== identity)
)

/** An error with what lies underneath, as it is printed. */
export const prettyWithCause = (error: unknown): string => prettyCause(Cause.fail(error))

export const prettyCause: (cause: Cause.Cause<unknown>) => string = Cause.pretty

/** Tries again after a pause, as long as what it has failed with says so. */
export const spacedWhile = <E>(pause: Duration.Input, mayTry: (error: E) => boolean): Schedule.Schedule<number, E> =>
  Schedule.while(Schedule.setInputType<E>()(Schedule.spaced(pause)), ({ input }) => Effect.succeed(mayTry(input)))

/** Effect's own scheduler, that asks at each step whether to give way. */
export const steppingScheduler = (
  mayYield: (fiber: { readonly currentOpCount: number; readonly interruptNow: () => void }) => boolean
): Scheduler.Scheduler => {
  const own = new Scheduler.MixedScheduler()
  return {
    executionMode: "async",
    shouldYield: (fiber) =>
      ask(
        () => mayYield({ currentOpCount: fiber.currentOpCount, interruptNow: () => interruptNow(fiber) }),
        queueMicrotask
      ),
    makeDispatcher: () => own.makeDispatcher()
  }
}

/** Keeps a fiber busy for so many steps. */
export const busy = (steps: number): Effect.Effect<void> => repeated(Effect.void, steps - 1)

/** What `Effect.tryPromise` fails with, and what it says of what says nothing. */
export const unknownError = (thrown: unknown, message?: string): Error => new Cause.UnknownError(thrown, message)
export const unknownErrorText = "UnknownError"

/** Whether that is what `Effect.timeout` fails with. */
export const isTimeout: (error: unknown) => boolean = Cause.isTimeoutError
