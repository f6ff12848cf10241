import * as Effect from "effect/Effect"

export * from "effect/Effect"
export {
  async as callback,
  catchAll as catch,
  catchAllCause as catchCause,
  either as result,
  fork as forkChild,
  forkDaemon as forkDetach,
  mapInputContext as updateContext,
  tapErrorCause as tapCause,
  zipRight as andThen
} from "effect/Effect"

export const yieldNow: Effect.Effect<void> = Effect.yieldNow()
