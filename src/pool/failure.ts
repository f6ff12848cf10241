import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Option from "#effect/Option"
import type { Link } from "../connection/link.js"
import { TransportError } from "../transport/error.js"
import { ConnectionUnavailableError } from "../values/errors.js"
import type { ConnectFailureReason, SetupStep } from "../values/reasons.js"
import type { Creation } from "./creation.js"
import { BadHook } from "./hooks.js"

/** What went wrong in an attempt, before it is told with the pool's name and the count of attempts. */
interface Failure {
  readonly reason: ConnectFailureReason
  readonly step?: SetupStep | undefined
  readonly retryAfter?: Duration.Duration | undefined
  readonly status?: number | undefined
  readonly cause: unknown
  readonly isRetryable: boolean
}

/** An attempt that failed on purpose of the pool; everything else that fails is the fault of a hook. */
export class AttemptFailed {
  constructor(readonly failure: Failure) {}
}

/** Statuses with which a server asks to come again: all 5xx, and these. */
const retryableStatuses = new Set([408, 425, 429])

const fromTransport = ({ cause, reason, retryAfter, status }: TransportError): Failure => ({
  reason,
  status,
  retryAfter,
  cause,
  isRetryable:
    reason === "Network" || (status !== undefined && (retryableStatuses.has(status) || (status >= 500 && status < 600)))
})

const fromCause = (cause: Cause.Cause<unknown>, step: SetupStep | undefined): Failure => {
  const error = Option.getOrElse(Cause.findErrorOption(cause), () => Cause.squash(cause))
  if (error instanceof AttemptFailed) return error.failure
  if (error instanceof TransportError) return fromTransport(error)
  return { reason: "Setup", step, cause: error, isRetryable: !(error instanceof BadHook) }
}

/** What an option that had to be computed cannot be used for. */
export const badInput = (step: SetupStep, problem: string, isRetryable = false): Effect.Effect<never, AttemptFailed> =>
  Effect.fail(new AttemptFailed({ reason: "Setup", step, cause: new Error(problem), isRetryable }))

/** What an attempt fails with whose connection is over before anybody could use it. */
export const closedEarly = ({ end }: Link): AttemptFailed =>
  new AttemptFailed({
    reason: "Network",
    cause: new Error(`The connection was closed with code ${end?.code ?? 1006} before it could be used`),
    isRetryable: true
  })

export const timedOut = (limit: Duration.Duration): AttemptFailed =>
  new AttemptFailed({
    reason: "Timeout",
    cause: new Error(`connectTimeout (${Duration.format(limit)}) has passed`),
    isRetryable: true
  })

/** What a creation that failed is told as. */
export const unavailable = (
  pool: string,
  { attempts, step, url }: Creation,
  cause: Cause.Cause<unknown>
): ConnectionUnavailableError => new ConnectionUnavailableError({ pool, url, attempts, ...fromCause(cause, step) })
