/** Programs that the tests start, ended with the scope that started them. */
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Readable, Writable } from "node:stream"
import * as Data from "#effect/Data"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"

/** Where a program is. Servers are where only root looks for them. */
export const find = (program: string): string | undefined =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    .map((folder) => join(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

/** The title of tests that need a program: it says why they are skipped, if they are. */
export const title = (what: string, program: string, debianPackage: string): string =>
  find(program) === undefined
    ? `${what} (skipped: ${program} is not installed; apt-get install ${debianPackage})`
    : what

/** A program is not there, or ended before it did what it was started for. */
export class Ended extends Data.TaggedError("Ended")<{ readonly program: string; readonly output: string }> {
  override get message(): string {
    return `${this.program} has ended:\n${this.output}`
  }
}

export interface Running {
  /** The first match in all that it prints. */
  readonly printed: (pattern: RegExp) => Effect.Effect<RegExpExecArray, Ended>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends it and its children, without a chance to say goodbye. */
  readonly kill: Effect.Effect<void>
}

/**
 * Runs "$@" as the leader of a process group, beside something that waits for the end of its input, which comes at
 * the latest when the tests end, however they end, and then ends the group.
 */
const guard = 'exec 3<&0; (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'

class Child implements Running {
  private output = ""
  private isOver = false
  private readonly process: ChildProcessByStdio<Writable, Readable, Readable>
  private readonly watchers = new Set<() => void>()

  constructor(
    readonly program: string,
    args: ReadonlyArray<string>
  ) {
    this.process = spawn("/bin/sh", ["-c", guard, "sh", program, ...args], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"]
    })
    const onData = (data: Buffer) => {
      this.output += data.toString()
      this.changed()
    }
    this.process.stdout.on("data", onData)
    this.process.stderr.on("data", onData)
    this.process.stdin.on("error", () => {})
    // Once nobody in the group can print any more.
    this.process.on("close", () => {
      this.isOver = true
      this.changed()
    })
    this.process.on("error", () => {})
  }

  private changed(): void {
    for (const watcher of [...this.watchers]) watcher()
  }

  private when<A, E>(look: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const watcher = () => {
        const found = look()
        if (found === undefined) return
        this.watchers.delete(watcher)
        resume(found)
      }
      this.watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.watchers.delete(watcher))
    })
  }

  printed(pattern: RegExp): Effect.Effect<RegExpExecArray, Ended> {
    return this.when<RegExpExecArray, Ended>(() => {
      const match = pattern.exec(this.output)
      if (match !== null) return Effect.succeed(match)
      return this.isOver ? new Ended({ program: this.program, output: this.output.slice(-2000) }) : undefined
    })
  }

  signal(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => this.process.kill(signal))
  }

  get kill(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.process.stdin.end()
      return this.when(() => (this.isOver ? Effect.void : undefined))
    })
  }
}

export const run = (program: string, args: ReadonlyArray<string>): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Child(program, args)),
    (child) => child.kill
  )

/** A new folder, removed with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-websocket-pool-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
)

const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts what wants to be told a port, again if somebody else was faster to take it. */
export const onFreePort = <A, R>(start: (port: number) => Effect.Effect<A, Ended, R>): Effect.Effect<A, Ended, R> =>
  Effect.retry(Effect.flatMap(freePort, start), {
    times: 5,
    while: ({ output }) => /in use|Unable to create websockets listener/.test(output)
  })

/** For servers that drop root's rights unless told otherwise, and then cannot use a folder that root has made. */
export const runsAsRoot = process.getuid?.() === 0
