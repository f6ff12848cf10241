/** Fibers, causes and services from outside, for Effect 3. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import { type Clock, ClockTypeId } from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Supervisor from "effect/Supervisor"

type AnyFiber<A, E> = Fiber.RuntimeFiber<A, E>

/** How a fiber has ended, if it has. */
export const poll = <A, E>(fiber: AnyFiber<A, E>): Exit.Exit<A, E> | undefined => fiber.unsafePoll() ?? undefined

/** Interrupts a fiber, and waits for nothing. */
export const interruptNow = (fiber: AnyFiber<unknown, unknown> | undefined): void =>
  fiber?.unsafeInterruptAsFork(FiberId.none)

export const failuresOf = <E>(cause: Cause.Cause<E>): ReadonlyArray<E> => Chunk.toReadonlyArray(Cause.failures(cause))

export const defectsOf = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> =>
  Chunk.toReadonlyArray(Cause.defects(cause))

/** Logs nothing. */
export const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Logger.withMinimumLogLevel(effect, LogLevel.None)

export const withClock: {
  (clock: Clock): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock): Effect.Effect<A, E, R>
} = Effect.withClock

/** With random numbers that a seed decides, one sequence for all. */
export const seeded = (
  seed: string | number
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const random = Random.make(seed)
  return (effect) => Effect.withRandom(effect, random)
}

/** With these numbers between 0 and 1, over and over. */
export const randomly = (
  values: [number, ...Array<number>]
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => Effect.withRandom(Random.fixed(values))

/** With the variables of a configuration. */
export const withConfig = (
  variables: Readonly<Record<string, string>>
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

/** The same as a layer. */
export const configLayer = (variables: Readonly<Record<string, string>>): Layer.Layer<never> =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

/** A clock by hand. `wait` wakes after so many milliseconds, and gives what cancels that. */
export const clockOf = (now: () => number, wait: (millis: number, wake: () => void) => () => void): Clock => {
  const nanos = () => BigInt(Math.floor(now() * 1e6))
  return {
    [ClockTypeId]: ClockTypeId,
    unsafeCurrentTimeMillis: now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async((resume) => {
        const cancel = wait(Duration.toMillis(duration), () => resume(Effect.void))
        return Effect.sync(cancel)
      })
  }
}

/** A clock whose wall goes ahead of another one's by so many milliseconds, and its monotonic time by nanoseconds. */
export const aheadOf = (clock: Clock, millis: () => number, nanos: () => bigint): Clock => {
  const wall = () => clock.unsafeCurrentTimeMillis() + millis()
  const monotonic = () => clock.unsafeCurrentTimeNanos() + nanos()
  return {
    [ClockTypeId]: ClockTypeId,
    unsafeCurrentTimeMillis: wall,
    unsafeCurrentTimeNanos: monotonic,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => clock.sleep(duration)
  }
}

/** How the steps of fibers are run by hand. */
export interface Steps {
  readonly schedule: (task: () => void) => void
  readonly mayYield: () => boolean
}

/** A scheduler by hand. */
export const schedulerOf = ({ mayYield, schedule }: Steps): Scheduler.Scheduler => ({
  scheduleTask: schedule,
  shouldYield: () => (mayYield() ? 0 : false)
})

export const withScheduler = Effect.withScheduler

/** Starts a fiber whose steps are run by hand, and those that it starts. */
export const forkStepwise = <A, E>(
  effect: Effect.Effect<A, E>,
  { mayYield, schedule }: Steps,
  options: { readonly immediate?: boolean } = {}
): AnyFiber<A, E> => Effect.runFork(effect, { ...options, scheduler: schedulerOf({ mayYield, schedule }) })

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

/** How many fibers there are that no other one has started. */
export const liveFibers = (): number => Array.from(Effect.runSync(Fiber.roots)).length

/** Runs an effect once, and as often again. */
export const repeated = <A, E, R>(effect: Effect.Effect<A, E, R>, times: number): Effect.Effect<A, E, R> =>
  times <= 0 ? effect : Effect.flatMap(effect, () => repeated(effect, times - 1))

/** Runs effects so that it is known how many of the fibers that they have started are there. */
export const tracking: Effect.Effect<{
  readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly count: Effect.Effect<number>
}> = Effect.map(Supervisor.track, (supervisor) => ({
  track: Effect.supervised(supervisor),
  count: Effect.map(supervisor.value, (fibers) => fibers.length)
}))

/** A value that fibers inherit, besides their services. */
export const makeInherited = (initial: string) => {
  const ref = FiberRef.unsafeMake(initial)
  return {
    get: FiberRef.get(ref),
    set:
      (value: string) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.locally(effect, ref, value)
  }
}

/** Whether the fiber that runs can be interrupted. */
export const isInterruptibleHere: Effect.Effect<boolean> = Effect.checkInterruptible(Effect.succeed)

/** An error with what lies underneath, as it is printed. */
export const prettyWithCause = (error: unknown): string => prettyCause(Cause.fail(error))

export const prettyCause = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause, { renderErrorCause: true })

/** Tries again after a pause, as long as what it has failed with says so. */
export const spacedWhile = <E>(pause: Duration.DurationInput, mayTry: (error: E) => boolean) =>
  Schedule.zipLeft(Schedule.spaced(pause), Schedule.recurWhile(mayTry))

/** Effect's own scheduler, that asks at each step whether to give way. */
export const steppingScheduler = (
  mayYield: (fiber: { readonly currentOpCount: number; readonly interruptNow: () => void }) => boolean
): Scheduler.Scheduler => {
  const queue = new Scheduler.MixedScheduler(2048)
  return {
    shouldYield: (fiber) =>
      mayYield({ currentOpCount: fiber.currentOpCount, interruptNow: () => interruptNow(fiber) }) ? 0 : false,
    scheduleTask: (task, priority, fiber) => queue.scheduleTask(task, priority, fiber)
  }
}

/** Keeps a fiber busy for so many steps. */
export const busy = (steps: number): Effect.Effect<void> =>
  Effect.loop(0, { while: (n) => n < steps, step: (n) => n + 1, body: () => Effect.void, discard: true })

/** What `Effect.tryPromise` fails with, and what it says of what says nothing. */
export const unknownError = (thrown: unknown, message?: string): Error => new Cause.UnknownException(thrown, message)
export const unknownErrorText = "An unknown error occurred"

/** Whether that is what `Effect.timeout` fails with. */
export const isTimeout: (error: unknown) => boolean = Cause.isTimeoutException
