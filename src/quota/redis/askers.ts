import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { QuotaUnavailableError } from "../../values/errors.js"
import type { Window } from "../options.js"
import type { Answer } from "./report.js"

/** How a report has ended. */
export type Ending = Exit.Exit<Answer, QuotaUnavailableError>

/** What somebody asks for besides what is. */
interface Wish {
  readonly limit?: number | undefined
  readonly windows?: ReadonlyArray<Window> | undefined
  readonly pause?: number | undefined
}

/** Those who wait for the outcome of a report, and what it asks for on their behalf: the latest limits, the longest pause. */
export class Wishes {
  private readonly all: Array<Wish & { readonly tell: (ending: Ending) => void }> = []

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  get limit(): number | undefined {
    return this.all.reduce<number | undefined>((found, { limit }) => limit ?? found, undefined)
  }

  get windows(): ReadonlyArray<Window> | undefined {
    return this.all.reduce<ReadonlyArray<Window> | undefined>((found, { windows }) => windows ?? found, undefined)
  }

  get pause(): number {
    return Math.max(0, ...this.all.map(({ pause = 0 }) => pause))
  }

  tell(ending: Ending): void {
    for (const { tell } of this.all) tell(ending)
  }

  add(wish: Wish, tell: (ending: Ending) => void): void {
    this.all.push({ ...wish, tell })
  }
}

/** Those who ask the engine, each with the next report. */
export class Askers {
  private next = new Wishes()

  /** `begin` calls for a report, or says why there is none. */
  ask(wish: Wish, begin: () => QuotaUnavailableError | undefined): Effect.Effect<Answer, QuotaUnavailableError> {
    return callback((resume) => {
      const error = begin()
      if (error !== undefined) resume(Effect.fail(error))
      else {
        this.next.add(wish, (ending) =>
          resume(Exit.isSuccess(ending) ? Effect.succeed(ending.value) : Effect.failCause(ending.cause))
        )
      }
    })
  }

  get isEmpty(): boolean {
    return this.next.isEmpty
  }

  /** Those for whom a report is sent. */
  take(): Wishes {
    const { next } = this
    this.next = new Wishes()
    return next
  }
}
