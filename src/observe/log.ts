import { type Fork, isLogged, type Level, log } from "#dialect"
import type * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import type * as LogLevel from "#effect/LogLevel"

/** Log lines of a pool, each with its name; those below the level of the pool's runtime cost nothing. */
export class Log {
  /** Whether debug lines are written: what is costly to say is said only then. */
  readonly isVerbose: boolean

  constructor(
    private readonly pool: string,
    private readonly fork: Fork,
    private readonly least: LogLevel.LogLevel
  ) {
    this.isVerbose = isLogged("Debug", least)
  }

  warn(message: string, annotations: Readonly<Record<string, unknown>> = {}, cause?: Cause.Cause<unknown>): void {
    this.write("Warn", message, annotations, cause)
  }

  info(message: string, annotations: Readonly<Record<string, unknown>> = {}): void {
    this.write("Info", message, annotations)
  }

  debug(message: string, annotations: () => Readonly<Record<string, unknown>> = () => ({})): void {
    if (this.isVerbose) this.write("Debug", message, annotations())
  }

  private write(
    level: Level,
    message: string,
    annotations: Readonly<Record<string, unknown>>,
    cause?: Cause.Cause<unknown>
  ): void {
    if (!isLogged(level, this.least)) return
    // In a turn of its own: the loggers are somebody else's, and this may be in the middle of a change of state.
    this.fork(Effect.annotateLogs(log(level, message, cause), { pool: this.pool, ...annotations }), {
      immediate: false
    })
  }
}
