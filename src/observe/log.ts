import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type { Fork } from "../core/limit.js"

/** Log lines of a pool, each with its name; those below the level of the pool's runtime cost nothing. */
export class Log {
  /** Whether debug lines are written: what is costly to say is said only then. */
  readonly isVerbose: boolean

  constructor(
    private readonly pool: string,
    private readonly fork: Fork,
    private readonly least: LogLevel.LogLevel
  ) {
    this.isVerbose = LogLevel.lessThanEqual(least, LogLevel.Debug)
  }

  warn(message: string, annotations: Readonly<Record<string, unknown>> = {}, cause?: Cause.Cause<unknown>): void {
    this.write(LogLevel.Warning, message, annotations, cause)
  }

  info(message: string, annotations: Readonly<Record<string, unknown>> = {}): void {
    this.write(LogLevel.Info, message, annotations)
  }

  debug(message: string, annotations: () => Readonly<Record<string, unknown>> = () => ({})): void {
    if (this.isVerbose) this.write(LogLevel.Debug, message, annotations())
  }

  private write(
    level: LogLevel.LogLevel,
    message: string,
    annotations: Readonly<Record<string, unknown>>,
    cause?: Cause.Cause<unknown>
  ): void {
    if (LogLevel.lessThan(level, this.least)) return
    const line = cause === undefined ? Effect.logWithLevel(level, message) : Effect.logWithLevel(level, message, cause)
    // In a turn of its own: the loggers are somebody else's, and this may be in the middle of a change of state.
    this.fork(Effect.annotateLogs(line, { pool: this.pool, ...annotations }), { immediate: false })
  }
}
