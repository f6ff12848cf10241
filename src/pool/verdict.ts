import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import { kindOf } from "../values/show.js"

const ignore = (): void => {}

/** What a plain function of the user's says, which has to be true or false at once. */
export class Verdict<A> {
  private hasWarned = false

  constructor(
    private readonly f: (input: A) => boolean,
    private readonly name: string,
    /** What it is taken to say when it says nothing of use, and what follows. */
    private readonly otherwise: boolean,
    private readonly consequence: string,
    private readonly warn: (message: string, cause?: Cause.Cause<unknown>) => void
  ) {}

  on(input: A): boolean {
    try {
      const answer: unknown = this.f(input)
      if (typeof answer === "boolean") return answer
      // An `if` would take either for true, whatever comes of it.
      const isPromise = Predicate.isPromiseLike(answer)
      if (!isPromise && !Effect.isEffect(answer)) return Boolean(answer)
      // Nobody looks at it: if it rejects, that must not end the program.
      if (isPromise) answer.then(ignore, ignore)
      this.warnOnce(kindOf(answer))
    } catch (error) {
      this.warn(`${this.name} has thrown; ${this.consequence}`, Cause.die(error))
    }
    return this.otherwise
  }

  /** It gives the same each time, for each lease or message. */
  private warnOnce(kind: string): void {
    if (this.hasWarned) return
    this.hasWarned = true
    this.warn(`${this.name} has to return a boolean, and returned ${kind}; ${this.consequence} each time`)
  }
}
