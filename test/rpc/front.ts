/** Processes behind one address, which get its connections in turn. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { type AddressInfo, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { tsxConfig } from "#support/edition"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Kept out of what is imported, each process starts in a moment. */
const bundle = async (folder: string): Promise<string> => {
  const outfile = join(folder, "worker.mjs")
  await build({
    entryPoints: [join(root, "test/rpc/worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    tsconfig: join(root, tsxConfig),
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url)'
    },
    logLevel: "error"
  })
  return outfile
}

export class Front {
  private readonly workers: Array<ChildProcess> = []
  private next = 0

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
    private readonly program: string
  ) {
    server.on("connection", (socket) => {
      const worker = this.workers[this.next % this.workers.length]
      this.next += 1
      socket.on("error", () => undefined)
      if (worker === undefined) socket.destroy()
      else worker.send("socket", socket)
    })
  }

  static async start(): Promise<Front> {
    const folder = await mkdtemp(join(tmpdir(), "rpc-workers-"))
    const program = await bundle(folder)
    const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1")
    await once(server, "listening")
    return new Front(server, folder, program)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/rpc`
  }

  async add(): Promise<void> {
    const worker = fork(this.program, { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] })
    await once(worker, "message")
    this.workers.push(worker)
  }

  /** Kills all of them. */
  async kill(): Promise<void> {
    for (const worker of this.workers.splice(0)) {
      const ended = once(worker, "exit")
      worker.kill("SIGKILL")
      await ended
    }
  }

  async end(): Promise<void> {
    await this.kill()
    // It would wait for the sockets that it has handed over, to processes that are gone.
    this.server.close()
    this.server.unref()
    await rm(this.folder, { recursive: true, force: true })
  }
}
