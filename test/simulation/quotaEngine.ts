/** A real engine for runs that are synchronous: it is asked in the middle of a step, and told what time it is. */
import { spawnSync } from "node:child_process"
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"
import { script } from "../../src/quota/redis/script.js"

/** The server of an engine, which ends with the process that has started it, however that ends. */
const server = `
  redis=$1; folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
  "$redis" --port 0 --unixsocket "$folder/s" --dir "$folder" --save "" >/dev/null 2>&1 &
  echo "$folder/s"; cat >/dev/null; kill $!; wait
`

/** What talks to it, on a thread of its own: commands come in batches, and the replies wake who waits. */
const thread = `
const { spawn } = require("node:child_process")
const { connect } = require("node:net")
const { parentPort, workerData: { program, server, signal, port } } = require("node:worker_threads")
const child = spawn("sh", ["-c", server, "sh", program], { stdio: ["pipe", "pipe", "ignore"] })
let socket, waiting = 0, replies = [], text = "", asked = 1
const answer = (value) => { port.postMessage({ asked, value }); Atomics.store(signal, 0, asked); Atomics.notify(signal, 0) }
const parse = (at) => {
  const end = text.indexOf("\\r\\n", at)
  if (end < 0) return
  const kind = text[at], line = text.slice(at + 1, end)
  if (kind === "+") return [line, end + 2]
  if (kind === "-") return [{ error: line }, end + 2]
  if (kind === ":") return [Number(line), end + 2]
  const length = Number(line)
  if (kind === "$") {
    if (length < 0) return [null, end + 2]
    return text.length < end + 2 + length + 2 ? undefined : [text.slice(end + 2, end + 2 + length), end + 2 + length + 2]
  }
  const items = []
  let next = end + 2
  for (let i = 0; i < length; i++) {
    const item = parse(next)
    if (item === undefined) return
    items.push(item[0]); next = item[1]
  }
  return [items, next]
}
const open = (path) => {
  socket = connect(path)
  socket.on("connect", () => answer(true))
  socket.on("error", () => setTimeout(() => open(path), 10))
  socket.on("data", (data) => {
    text += data.toString("latin1")
    for (let found; replies.length < waiting && (found = parse(0)) !== undefined; ) {
      replies.push(found[0]); text = text.slice(found[1])
    }
    if (waiting > 0 && replies.length === waiting) { const all = replies; replies = []; waiting = 0; answer(all) }
  })
}
child.stdout.once("data", (path) => open(String(path).trim()))
port.on("message", ({ commands, number }) => {
  asked = number
  waiting = commands.length
  socket.write(Buffer.from(commands.map((args) => "*" + args.length + "\\r\\n" +
    args.map((arg) => "$" + arg.length + "\\r\\n" + arg + "\\r\\n").join("")).join(""), "latin1"))
})
`

const program = ["redis-server", "valkey-server"].find((name) => spawnSync(name, ["--version"]).status === 0)

export const hasEngine = program !== undefined

type Command = ReadonlyArray<string>

/** Whatever comes is text and numbers of ASCII, or what the engine has dumped, byte by byte. */
class Line {
  private readonly signal = new Int32Array(new SharedArrayBuffer(4))
  private readonly channel = new MessageChannel()
  /** The number of the latest question; the first is whether there is a connection. */
  private asked = 1

  constructor() {
    const { port1, port2 } = this.channel
    const workerData = { program, server, signal: this.signal, port: port2 }
    const worker = new Worker(thread, { eval: true, execArgv: [], workerData, transferList: [port2] })
    worker.unref()
    port1.unref()
    this.answer()
  }

  /** The answer to what was asked last. One that came too late for its own question is passed over. */
  private answer(): unknown {
    for (let shown = Atomics.load(this.signal, 0); shown !== this.asked; shown = Atomics.load(this.signal, 0)) {
      if (Atomics.wait(this.signal, 0, shown, 60_000) === "timed-out") throw new Error("the engine does not answer")
    }
    for (;;) {
      const received = receiveMessageOnPort(this.channel.port1)
      if (received === undefined) throw new Error("the engine's thread has told of no answer")
      const { asked, value } = received.message as { readonly asked: number; readonly value: unknown }
      if (asked === this.asked) return value
    }
  }

  send(commands: ReadonlyArray<Command>): ReadonlyArray<unknown> {
    this.asked += 1
    this.channel.port1.postMessage({ commands, number: this.asked })
    return this.answer() as ReadonlyArray<unknown>
  }
}

let line: Line | undefined
const send = (...commands: ReadonlyArray<Command>): ReadonlyArray<unknown> => {
  line ??= new Line()
  return line.send(commands)
}

/**
 * What the engine keeps of the quota, and of a worker, in the order of the script. The last four of a quota are texts, and
 * the fifth of a worker is.
 */
const state = [
  ...["v", "seen", "limit", "used", "pend", "debts", "soon", "wants", "backs", "ticket", "learn", "pause", "rp", "lvl"],
  ...["saved", "aged", "lapse", "workers", "settling", "keys", "epoch", "run", "win", "of"]
]
const fields = [
  ...["seq", "allot", "aski", "askl", "held", "want", "back", "spare", "trying", "tried", "given", "out", "old"],
  ...["ticket", "refused", "well", "granted", "outi", "net"]
]
const stateShape = `>${"d".repeat(state.length - 4)}ssss`
const fieldsShape = `>dddds${"d".repeat(fields.length - 4)}`

/**
 * The script with a clock and an identity by hand, which gives what it would publish along with its answer, and how the
 * state is afterwards.
 */
const byHand = `
local published = {}
local hand = #ARGV - 3
local real = redis
local function told(name, ...)
  if name == 'TIME' then return { ARGV[hand], ARGV[hand + 1] } end
  if name == 'LASTSAVE' then return tonumber(ARGV[hand + 3]) end
  if name == 'INFO' then return 'run_id:' .. ARGV[hand + 2] .. string.char(13, 10) end
  if name == 'PUBLISH' then
    published[#published + 1] = table.concat({ ... }, ' ')
    return 0
  end
  return real.call(name, ...)
end
local redis = { call = told, pcall = told }
local function main()
${script}
end
local answer = main()
local kept, workers = { struct.unpack('${stateShape}', real.call('HGET', KEYS[1], '')) }, {}
for i = 1, ${state.length} do kept[i] = type(kept[i]) == 'number' and string.format('%.0f', kept[i]) or kept[i] end
kept[${state.length + 1}] = nil
local packed = real.call('HGETALL', KEYS[1])
for i = 1, #packed, 2 do if packed[i] ~= '' then
  local account = { struct.unpack('${fieldsShape}', packed[i + 1]) }
  table.remove(account, 5)
  account[${fields.length + 1}] = nil
  for j = 1, #account do account[j] = string.format('%.0f', account[j]) end
  workers[#workers + 1] = packed[i]
  workers[#workers + 1] = table.concat(account, ' ')
end end
return { answer, published, kept, workers, real.call('LLEN', KEYS[8]) }
`

export interface Account {
  readonly [field: string]: number
  readonly held: number
  readonly allot: number
  readonly want: number
  readonly trying: number
}

/** What is kept after a call. */
export interface Kept {
  readonly meta: { readonly [field: string]: string }
  readonly workers: ReadonlyMap<string, Account>
  readonly settling: number
}

export interface Reply {
  readonly answer: ReadonlyArray<unknown>
  /** A channel, and what goes there. */
  readonly published: ReadonlyArray<readonly [string, string]>
  readonly kept: Kept
}

const pairs = (flat: ReadonlyArray<string>): Array<[string, string]> =>
  Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index]!, flat[2 * index + 1]!])

const accountOf = (packed: string): Account => {
  const values = packed.split(" ").map(Number)
  const at = (field: string) => values[fields.indexOf(field)] ?? 0
  return {
    ...Object.fromEntries(fields.map((field) => [field, at(field)])),
    ...{ held: at("held"), allot: at("allot"), want: at("want"), trying: at("trying") }
  }
}

/** What a report says, as it is sent, of what a run looks at. */
export const saidIn = (command: Command) => {
  const [worker = "", numbers = "", , wishes = ""] = command.slice(3 + Number(command[2]))
  const said = numbers.split(" ")
  const [seq = 0, isLast, held = 0, back = 0, aski = 0, askl = 0] = [0, 3, 6, 8, 14, 15].map((at) => Number(said[at]))
  const [limit = "", , pause = 0] = wishes.split(" ")
  return {
    ...{ id: worker, epoch: said[5] ?? "", seq, held, back, aski, askl, isLast: isLast === 1 },
    ...{ limit, pause: Number(pause) }
  }
}

/** What a worker is to get for an answer. */
export class Refusal extends Error {}

/** The engine's side of one quota. */
export class QuotaEngine {
  /** Another one is another process. */
  private process = 1
  /** When it began, or saved its data, in seconds. */
  private savedAt: number | undefined
  private hasScript = false
  private snapshot: ReadonlyArray<readonly [string, string]> = []
  private sha: string

  constructor(private readonly keys: ReadonlyArray<string>) {
    const [, sha] = send(["FLUSHALL"], ["SCRIPT", "LOAD", byHand])
    this.sha = String(sha)
  }

  /** `EVALSHA` or `EVAL`, as a worker has sent it, at a time in milliseconds. It throws error replies. */
  call(command: Command, now: number): Reply {
    const [name, , ...args] = command
    if (name === "EVAL") this.hasScript = true
    else if (!this.hasScript) throw new Refusal("NOSCRIPT No matching script. Please use EVAL.")
    const micros = Math.floor((now + 1_700_000_000_000) * 1000)
    const seconds = Math.floor(micros / 1_000_000)
    this.savedAt ??= seconds
    const identity = [seconds, micros % 1_000_000, `process${this.process}`, this.savedAt].map(String)
    const [reply] = send(["EVALSHA", this.sha, ...args, ...identity])
    if (!Array.isArray(reply)) throw new Error(JSON.stringify(reply))
    const [answer, published, meta, workers, settling] = reply
    return {
      answer,
      published: published.map((one: string) => {
        const at = one.indexOf(" ")
        return [one.slice(0, at), one.slice(at + 1)]
      }),
      kept: {
        meta: Object.fromEntries(state.map((name, index) => [name, meta[index]])),
        workers: new Map(pairs(workers).map(([id, packed]) => [id, accountOf(packed)])),
        settling
      }
    }
  }

  /** Whether any of its keys is there. */
  get isEmpty(): boolean {
    return send(["EXISTS", ...this.keys])[0] === 0
  }

  lose(keys: ReadonlyArray<string> = this.keys): void {
    send(["DEL", ...keys])
  }

  /** Has it save its data at this time in milliseconds, as far as it tells. */
  saveAt(now: number): void {
    this.savedAt = Math.floor((now + 1_700_000_000_000) / 1000)
  }

  restart(): void {
    this.process += 1
    this.savedAt = undefined
    this.hasScript = false
  }

  save(): void {
    const dumps = send(...this.keys.map((key) => ["DUMP", key]))
    this.snapshot = this.keys.flatMap((key, index) => {
      const dump = dumps[index]
      return typeof dump === "string" ? [[key, dump] as const] : []
    })
  }

  /** Falls back to what was saved, if anything was; says whether. */
  restore(): boolean {
    if (this.snapshot.length === 0) return false
    send(["DEL", ...this.keys], ...this.snapshot.map(([key, dump]) => ["RESTORE", key, "0", dump]))
    return true
  }
}
