/**
 * What the two lines of Effect do differently when a program runs, for Effect 3. `src/effect/4/dialect.ts` has the same
 * names for Effect 4. Where a name alone differs there is a shim beside this file.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

// Fibers

/** Starts fibers. One that is not immediate does nothing inside of the call. */
export type Fork<R = never> = <A, E>(
  effect: Effect.Effect<A, E, R>,
  options?: { readonly immediate?: boolean }
) => Fiber.RuntimeFiber<A, E>

/** How fibers start. */
interface Start {
  /** Whether what they fail with is logged when nobody looks at it. */
  readonly isQuiet?: boolean
  /** Whether they can be interrupted, although they are forked from where nothing can be. */
  readonly isInterruptible?: boolean
}

/** What fibers inherit from where this runs: their context, and a way to start them. */
export const environment = <R>({
  isInterruptible = false,
  isQuiet = false
}: Start = {}): Effect.Effect<{ readonly context: Context.Context<R>; readonly fork: Fork<R> }, never, R> =>
  Effect.map(Effect.runtime<R>(), (own) => {
    let runtime = own
    if (isQuiet) runtime = Runtime.setFiberRef(runtime, FiberRef.unhandledErrorLogLevel, Option.none())
    if (isInterruptible) runtime = Runtime.enableRuntimeFlag(runtime, RuntimeFlags.Interruption)
    return { context: own.context, fork: Runtime.runFork(runtime) }
  })

/** Interrupts a fiber, never inside of the call. */
export const interrupt = (fiber: AnyFiber): void => fiber.unsafeInterruptAsFork(FiberId.none)

/** Waits for a callback. What waits goes on never inside of the call of `resume`. */
export const callback = Effect.async

/** Calls a function that resumes a fiber so that the fiber goes on never inside of the call: here it never does. */
export const afterwards = (f: () => void): void => f()

/** Lets those go on who can, and takes no turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.yieldNow()

/** The real one, whatever a test puts in its place later. Only Node and those that take after it have it. */
const defer: typeof setImmediate | undefined = globalThis.setImmediate

/** Lets timers and sockets have a turn, whatever clock is in use. On Node several timers may end in one turn of the loop. */
export const realTurn: Effect.Effect<void> =
  defer === undefined
    ? Clock.make().sleep(Duration.zero)
    : Effect.async((resume) => void defer(() => resume(Effect.void)))

/** The fiber that runs, with what `isInterruptible` wants to know of it. */
export const withFiber = Effect.withFiberRuntime

/** Whether a fiber can be interrupted where it is now. */
export const isInterruptible = (_: AnyFiber, { runtimeFlags }: { readonly runtimeFlags: RuntimeFlags.RuntimeFlags }) =>
  (runtimeFlags & RuntimeFlags.Interruption) !== 0

export const contextOf = (fiber: AnyFiber): Context.Context<never> => fiber.currentContext

export const hasEnded = (fiber: AnyFiber): boolean => fiber.unsafePoll() !== null

/** Calls a function once a fiber has ended, unless what this gives is called before. */
export const onceEnded = (fiber: AnyFiber, f: () => void): (() => void) => {
  fiber.addObserver(f)
  return () => fiber.removeObserver(f)
}

/** Whether a fiber was told to end, sooner or later. */
export const isInterrupted = (fiber: AnyFiber): boolean => !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))

/** Why a fiber was told to end. */
export const interruptionOf = (fiber: AnyFiber): Cause.Cause<never> => fiber.getFiberRef(FiberRef.interruptedCause)

/** Runs an effect so that whoever gives it up does not wait for its end. */
export const disconnect = Effect.disconnect

/** What gives a region without interruption its interruption back. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Takes something for as long as the scope of the fiber lasts: what is there at once, or what there is after a wait. Nothing
 * can come between the taking and the finaliser that gives it back.
 */
export const takeScoped = <A, E>(
  take: () => A | undefined,
  wait: (restore: Restore) => Effect.Effect<A, E>,
  giveBack: (taken: A, exit: Exit.Exit<unknown, unknown>) => void
): Effect.Effect<A, E, Scope.Scope> => {
  const keep = (scope: Scope.Scope, taken: A): Effect.Effect<A> =>
    Effect.as(
      Scope.addFinalizerExit(scope, (exit) => {
        giveBack(taken, exit)
        return Effect.void
      }),
      taken
    )
  return Effect.uninterruptibleMask((restore) =>
    // `Effect.scope`, in one step less.
    withFiber<A, E, Scope.Scope>((fiber) => {
      const scope = Context.unsafeGet(contextOf(fiber), Scope.Scope)
      const taken = take()
      return taken === undefined ? Effect.flatMap(wait(restore), (taken) => keep(scope, taken)) : keep(scope, taken)
    })
  )
}

/**
 * Does something once an effect has ended, however it has, in the same step. It is for where nothing can be interrupted,
 * except in the effect.
 */
export const onExit = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  f: (exit: Exit.Exit<A, E>) => void
): Effect.Effect<A, E, R> => {
  const end = (exit: Exit.Exit<A, E>): Exit.Exit<A, E> => {
    f(exit)
    return exit
  }
  return Effect.matchCauseEffect(effect, {
    onFailure: (cause) => end(Exit.failCause(cause)),
    onSuccess: (value) => end(Exit.succeed(value))
  })
}

// Services

/** Between 0 and 1, from the generator of the fiber that runs. */
export const random: Effect.Effect<() => number> = Effect.flatMap(Effect.runtime(), (runtime) =>
  Effect.map(Effect.random, (random) => () => Runtime.runSync(runtime)(random.next))
)

/** What the wall shows. */
export const millisOf = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()
export const nanosOf = (clock: Clock.Clock): bigint => clock.unsafeCurrentTimeNanos()

/** A clock that nobody sets. */
export const monotonicOf = (clock: Clock.Clock): bigint => clock.unsafeCurrentTimeNanos()

/** The fiber that runs right now. */
export const currentFiber = (): AnyFiber | undefined => Option.getOrUndefined(Fiber.getCurrentFiber())

/** The span that a fiber is in. */
export const spanIn = (fiber: AnyFiber | undefined): Tracer.AnySpan | undefined => fiber?.currentSpan

/** The span of the fiber that runs right now. */
export const currentSpan = (): Tracer.AnySpan | undefined => spanIn(currentFiber())

export const makeTag = <Self, Shape, const Id extends string>(id: Id): TagClass<Self, Shape, Id> =>
  Context.Tag(id)<Self, Shape>()

/** Whether a value is a tag. */
export const isKey = Context.isTag

/** What `class … extends` a tag. */
export type TagClass<Self, Shape, Id extends string> = Context.TagClass<Self, Id, Shape>

// Logs

export type Level = "Debug" | "Info" | "Warn"

const levels: { readonly [L in Level]: LogLevel.LogLevel } = {
  Debug: LogLevel.Debug,
  Info: LogLevel.Info,
  Warn: LogLevel.Warning
}

/** The least level that is logged. */
export const leastLevel: Effect.Effect<LogLevel.LogLevel> = FiberRef.get(FiberRef.currentMinimumLogLevel)

export const isLogged = (level: Level, least: LogLevel.LogLevel): boolean =>
  LogLevel.greaterThanEqual(levels[level], least)

export const log = (level: Level, message: string, cause?: Cause.Cause<unknown>): Effect.Effect<void> =>
  cause === undefined ? Effect.logWithLevel(levels[level], message) : Effect.logWithLevel(levels[level], message, cause)

// Several values

/** Values of which there is at least one. */
export type NonEmpty<A> = Chunk.NonEmptyChunk<A>

export const nonEmpty = <A>(values: NonEmptyReadonlyArray<A>): NonEmpty<A> => Chunk.unsafeFromNonEmptyArray(values)

export const toArray: <A>(values: NonEmpty<A>) => ReadonlyArray<A> = Chunk.toReadonlyArray

/** Gives what an effect takes, each when it is asked for, until it fails with an end or takes the last. */
export const streamOf = <A, E, R>(
  take: Effect.Effect<NonEmptyReadonlyArray<A>, E, R>,
  isEnd: (error: E) => boolean,
  isLast: (values: NonEmptyReadonlyArray<A>) => boolean
): Stream.Stream<A, E, R> => {
  // A channel by hand: Stream's own loops cost half as much again for each message, and they must come one by one.
  const all: Channel.Channel<Chunk.Chunk<A>, unknown, E, unknown, unknown, unknown, R> = Channel.flatMap(
    Channel.fromEffect(take),
    (values): Channel.Channel<Chunk.Chunk<A>, unknown, E, unknown, unknown, unknown, R> => {
      const write = Channel.write(Chunk.unsafeFromArray(values))
      return isLast(values) ? write : Channel.flatMap(write, () => all)
    }
  )
  return Stream.fromChannel(Channel.catchAll(all, (error) => (isEnd(error) ? Channel.void : Channel.fail(error))))
}

/** A schedule that goes on no more often than so many times. */
export const limited =
  (times: number) =>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>): Schedule.Schedule<[Out, number], In, R> =>
    Schedule.intersect(self, Schedule.recurs(times))

// Errors

/** What `Effect.tryPromise` or `Effect.try` has wrapped. They say nothing of it themselves; somebody else may. */
export const caughtBy = (error: unknown): unknown =>
  Cause.isUnknownException(error) && /^An unknown error /.test(error.message) ? error.error : undefined
