import type { Fork } from "#dialect"
import * as Effect from "#effect/Effect"
import { Limit, within } from "../../core/limit.js"
import type { Timers } from "../../core/timers.js"
import type { QuotaUnavailableError } from "../../values/errors.js"
import type { Ending } from "./askers.js"
import type { Client } from "./client.js"
import {
  type Answer,
  answerOf,
  argsOf,
  isMissingScript,
  NoAnswer,
  type Report,
  type Terms,
  unavailable
} from "./report.js"
import { script, sha } from "./script.js"

/** The line to the engine: one report at a time, each with an end. */
export class EngineLink {
  constructor(
    private readonly quota: string,
    private readonly client: Client,
    private readonly terms: Terms,
    private readonly timers: Timers,
    private readonly fork: Fork,
    private readonly commandTimeout: number
  ) {}

  /** Sends a report. An answer that comes too late is none, even if it was read before the timer was due. */
  exchange(report: Report): Effect.Effect<Answer, QuotaUnavailableError> {
    return Effect.suspend(() => {
      const sentAt = this.timers.now()
      const limit = new Limit(this.timers, this.commandTimeout, () => new NoAnswer(), false)
      const answered = Effect.flatMap(
        within(this.fork, this.call(report), limit),
        (reply): Effect.Effect<Answer, unknown> => {
          if (this.timers.now() - sentAt > this.commandTimeout) return Effect.fail(new NoAnswer())
          const answer = answerOf(reply)
          return answer === undefined
            ? Effect.fail(new Error("ERR unexpected reply of the engine"))
            : Effect.succeed(answer)
        }
      )
      return Effect.mapError(answered, (error) => unavailable(this.quota, error))
    })
  }

  /** An engine that does not know the script is another process than before, unless the quota is new. */
  private call(report: Report): Effect.Effect<unknown, unknown> {
    const { client, terms } = this
    return Effect.catch(
      Effect.suspend(() => client.command(["EVALSHA", sha, ...argsOf(report, terms, false)])),
      (error) =>
        isMissingScript(error) ? client.command(["EVAL", script, ...argsOf(report, terms, true)]) : Effect.fail(error)
    )
  }

  /** Starts a report, whose outcome is told once, never inside of the call. */
  start(report: Report, onOutcome: (outcome: Ending) => void): void {
    const fiber = this.fork(Effect.interruptible(this.exchange(report)), { immediate: false })
    fiber.addObserver((exit) => onOutcome(exit))
  }
}
