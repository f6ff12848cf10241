import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type PoolStats, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import { tsxConfig } from "#support/edition"

/** The first snapshot for which `condition` holds. */
export const statsWhen = (condition: (stats: PoolStats.PoolStats) => boolean) =>
  Effect.repeat(Effect.delay(WebSocketPool.stats, "5 millis"), { until: condition })

/** What an example prints, run as its users do. */
export const runExample = (
  file: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<{ readonly stdout: string; readonly stderr: string }> =>
  Effect.callback((resume) => {
    const child = execFile(
      process.execPath,
      ["--import", "tsx", `examples/servers/${file}`, ...args],
      {
        cwd: fileURLToPath(new URL("../../..", import.meta.url)),
        env: { ...process.env, NO_COLOR: "1", TSX_TSCONFIG_PATH: tsxConfig }
      },
      (_, stdout, stderr) => resume(Effect.succeed({ stdout, stderr }))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
