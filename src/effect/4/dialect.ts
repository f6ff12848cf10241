/**
 * What the two lines of Effect do differently when a program runs, for Effect 4. `src/effect/3/dialect.ts` has the same
 * names for Effect 3.
 *
 * Effect 4 runs a fiber inside of the call that resumes or interrupts it. The pool calls in the middle of its own
 * transitions, and has to come to their end before anybody can look at it: so here a microtask comes in between, as it
 * does in Effect 3 by itself.
 */
import type { NonEmptyArray, NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"

type AnyFiber = Fiber.Fiber<unknown, unknown>

// Fibers

/** Starts fibers. One that is not immediate does nothing inside of the call. */
export type Fork<R = never> = <A, E>(
  effect: Effect.Effect<A, E, R>,
  options?: { readonly immediate?: boolean }
) => Fiber.Fiber<A, E>

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
  Effect.map(Effect.context<R>(), (context) => {
    const own = isQuiet ? Context.add(context, References.UnhandledLogLevel, undefined) : context
    const start = Effect.runForkWith(own)
    // Not even the scheduler is asked anything before the turn.
    const startLater = Effect.runForkWith(Context.add(own, References.PreventSchedulerYield, true))
    const preventsYield = Context.get(own, References.PreventSchedulerYield)
    const how = { uninterruptible: !isInterruptible }
    return {
      context,
      fork: (effect, options) =>
        options?.immediate === false
          ? startLater(
              Effect.andThen(turn, Effect.provideService(effect, References.PreventSchedulerYield, preventsYield)),
              how
            )
          : start(effect, how)
    }
  })

/** Interrupts a fiber, never inside of the call. */
export const interrupt = (fiber: AnyFiber): void => afterwards(() => fiber.interruptUnsafe())

/** Waits for a callback. What waits goes on never inside of the call of `resume`. */
export const callback = <A, E = never, R = never>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => void | Effect.Effect<void, never, R>
): Effect.Effect<A, E, R> =>
  Effect.callback<A, E, R>((resume) => {
    let isRegistered = false
    const cancel = register((effect) => {
      if (isRegistered) afterwards(() => resume(effect))
      else resume(effect)
    })
    isRegistered = true
    return cancel
  })

/** Calls a function that resumes a fiber so that the fiber goes on never inside of the call. */
export const afterwards = (f: () => void): void => queueMicrotask(f)

/** Lets those go on who can, and takes no turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.callback((resume) => afterwards(() => resume(Effect.void)))

/** Lets timers and sockets have a turn, whatever clock is in use. */
export const realTurn: Effect.Effect<void> = Effect.yieldNow

/** The fiber that runs, with what `isInterruptible` wants to know of it. */
export const withFiber = <A, E = never, R = never>(
  f: (fiber: AnyFiber, status: undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.withFiber(f as (fiber: AnyFiber) => Effect.Effect<A, E, R>)

/** What fibers know of themselves, and have no name for. */
interface Insight {
  readonly interruptible?: boolean
  readonly _interruptedCause?: Cause.Cause<never> | undefined
}

/** Whether a fiber can be interrupted where it is now. */
export const isInterruptible = (fiber: AnyFiber, _: undefined): boolean => (fiber as Insight).interruptible !== false

export const contextOf = (fiber: AnyFiber): Context.Context<never> => fiber.context

export const hasEnded = (fiber: AnyFiber): boolean => fiber.pollUnsafe() !== undefined

/** Calls a function once a fiber has ended, unless what this gives is called before. */
export const onceEnded = (fiber: AnyFiber, f: () => void): (() => void) => fiber.addObserver(f)

/** Whether a fiber was told to end, sooner or later. */
export const isInterrupted = (fiber: AnyFiber): boolean => (fiber as Insight)._interruptedCause !== undefined

/** Why a fiber was told to end. */
export const interruptionOf = (fiber: AnyFiber): Cause.Cause<never> =>
  (fiber as Insight)._interruptedCause ?? Cause.interrupt()

/** Runs an effect so that whoever gives it up does not wait for its end. */
export const disconnect = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.context<R>(), (context) =>
    callback((resume) => {
      const fiber = Effect.runForkWith(context)(effect)
      fiber.addObserver(resume)
      return Effect.sync(() => interrupt(fiber))
    })
  )

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
  const finalizerOf =
    (taken: A) =>
    (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
      giveBack(taken, exit)
      return Effect.void
    }
  const slowly = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.flatMap(wait(restore), (taken) => Effect.as(Scope.addFinalizerExit(scope, finalizerOf(taken)), taken))
    )
  )
  return Effect.withFiber((fiber) => {
    const scope = Context.getUnsafe(fiber.context, Scope.Scope)
    // What is closed gives back at once, and its finaliser is an effect.
    if (scope.state._tag === "Closed") return slowly
    const taken = take()
    if (taken === undefined) return slowly
    addFinalizer(scope, finalizerOf(taken))
    return Exit.succeed(taken)
  })
}

/** `Scope.addFinalizerExit` of a scope that is not closed, as a call: then it needs no region without interruption. */
const addFinalizer = (
  scope: Scope.Scope,
  finalizer: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
): void => {
  const { state } = scope
  if (state._tag !== "Open") {
    scope.state = { _tag: "Open", finalizerKey: {}, finalizer, finalizers: undefined }
    return
  }
  // The first one stands alone, until there is a second.
  if (state.finalizers === undefined) {
    state.finalizers = new Map()
    if (state.finalizerKey !== undefined && state.finalizer !== undefined) {
      state.finalizers.set(state.finalizerKey, state.finalizer)
    }
    state.finalizerKey = state.finalizer = undefined
  }
  state.finalizers.set({}, finalizer)
}

/**
 * Does something once an effect has ended, however it has, in the same step. It is for where nothing can be interrupted,
 * except in the effect.
 */
export const onExit = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  f: (exit: Exit.Exit<A, E>) => void
): Effect.Effect<A, E, R> =>
  Effect.onExitPrimitive(
    effect,
    (exit) => {
      f(exit)
      return undefined
    },
    true
  )

// Services

/** Between 0 and 1, from the generator of the fiber that runs. */
export const random: Effect.Effect<() => number> = Effect.map(
  Random.Random,
  (random) => () => random.nextDoubleUnsafe()
)

/** What the wall shows. */
export const millisOf = (clock: Clock.Clock): number => clock.currentTimeMillisUnsafe()
export const nanosOf = (clock: Clock.Clock): bigint => clock.currentTimeNanosUnsafe()

/** A clock that nobody sets. */
export const monotonicOf = (clock: Clock.Clock): bigint => clock.monotonicTimeNanosUnsafe()

/** The fiber that runs right now. */
export const currentFiber = (): AnyFiber | undefined => Fiber.getCurrent()

/** The span that a fiber is in. */
export const spanIn = (fiber: AnyFiber | undefined): Tracer.AnySpan | undefined => fiber?.cache.span

/** The span of the fiber that runs right now. */
export const currentSpan = (): Tracer.AnySpan | undefined => spanIn(currentFiber())

export const makeTag = <Self, Shape, const Id extends string>(id: Id): TagClass<Self, Shape, Id> =>
  Context.Service<Self, Shape>()(id)

/** Whether a value is a tag. */
export const isKey = Context.isKey

/** What `class … extends` a tag. It leaves the name `use` to what it is a tag of. */
export interface TagClass<Self, Shape, Id extends string>
  extends Context.Key<Self, Shape>,
    Pick<Context.Service<Self, Shape>, "of" | "context" | "useSync"> {
  new (_: never): Context.ServiceClass.Shape<Id, Shape>
  readonly key: Id
}

// Logs

export type Level = "Debug" | "Info" | "Warn"

/** The least level that is logged. */
export const leastLevel: Effect.Effect<LogLevel.LogLevel> = References.MinimumLogLevel

export const isLogged = (level: Level, least: LogLevel.LogLevel): boolean =>
  LogLevel.isGreaterThanOrEqualTo(level, least)

export const log = (level: Level, message: string, cause?: Cause.Cause<unknown>): Effect.Effect<void> =>
  cause === undefined ? Effect.logWithLevel(level)(message) : Effect.logWithLevel(level)(message, cause)

// Several values

/** Values of which there is at least one. */
export type NonEmpty<A> = NonEmptyArray<A>

export const nonEmpty = <A>(values: NonEmptyArray<A>): NonEmpty<A> => values

export const toArray = <A>(values: NonEmpty<A>): ReadonlyArray<A> => values

/** Gives what an effect takes, each when it is asked for, until it fails with an end or takes the last. */
export const streamOf = <A, E, R>(
  take: Effect.Effect<NonEmptyReadonlyArray<A>, E, R>,
  isEnd: (error: E) => boolean,
  isLast: (values: NonEmptyReadonlyArray<A>) => boolean
): Stream.Stream<A, E, R> =>
  Stream.fromPull(
    Effect.sync(() => {
      let isOver = false
      const next = Effect.matchEffect(take, {
        onFailure: (error): Effect.Effect<never, E | Cause.Done> => (isEnd(error) ? Cause.done() : Effect.fail(error)),
        onSuccess: (values) => {
          isOver = isLast(values)
          return Effect.succeed(values)
        }
      })
      return Effect.suspend(() => (isOver ? Cause.done() : next))
    })
  ) as Stream.Stream<A, E, R>

/** A schedule that goes on no more often than so many times. */
export const limited =
  (times: number) =>
  <Out, In, E, R>(self: Schedule.Schedule<Out, In, E, R>): Schedule.Schedule<Out, In, E, R> =>
    Schedule.upTo(self, { times })

// Errors

/** What `Effect.tryPromise` or `Effect.try` has wrapped. They say nothing of it themselves; somebody else may. */
export const caughtBy = (error: unknown): unknown =>
  Cause.isUnknownError(error) && (!error.message || /^An error occurred in /.test(error.message))
    ? error.cause
    : undefined
