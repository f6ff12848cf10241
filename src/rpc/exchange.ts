import { callback, type Fork } from "#dialect"
import * as Effect from "#effect/Effect"
import type { RpcClientError } from "#effect/rpc/RpcClientError"
import type { FromClientEncoded, FromServerEncoded, RequestEncoded } from "#effect/rpc/RpcMessage"
import type { RequestError } from "../requests/api.js"
import { type StreamEnd, streamEnd } from "../requests/call.js"
import type { MultiplexerImpl } from "../requests/multiplexer.js"
import type { LaggedError } from "../values/errors.js"
import { RpcCall } from "./call.js"
import type { Refusal, Reply } from "./codec.js"

/** Hands a response to a client. It takes as long as the client has no room for it. */
export type Write = (response: FromServerEncoded) => Effect.Effect<void>

/** How failures are told in this line of Effect. */
export interface Failures {
  readonly defectOf: (encoded: unknown) => unknown
  readonly errorOf: (cause: RequestError | LaggedError) => RpcClientError
}

type Id = RequestEncoded["id"]

/** What of clients is under way, and how they are told. */
interface Client {
  /** Those who listen. In Effect 3 several clients may share the one id there is. */
  readonly writers: Array<Write>
  readonly calls: Map<Id, RpcCall>
  /** Calls that were answered before anybody listened. */
  readonly waiting: Set<() => void>
}

const nobody: Pick<Client, "writers"> = { writers: [] }

/**
 * Between clients and connections. Each call is relayed by the fiber that its client sends it with, which ends when the
 * call does. So a client that has no room for more holds back that call alone, and what fails a call fails its `send`.
 */
export class Exchange {
  private readonly clients = new Map<number, Client>()

  constructor(
    private readonly calls: MultiplexerImpl<RequestEncoded, Reply, Refusal>,
    private readonly failures: Failures,
    readonly fork: Fork
  ) {}

  /** Tells a client what is said to it, for as long as it runs. */
  readonly run = (id: number, write: Write): Effect.Effect<never> =>
    Effect.acquireUseRelease(
      Effect.sync(() => this.enter(id, write)),
      () => Effect.never,
      (client) => Effect.sync(() => this.leave(id, client, write))
    )

  readonly send = (id: number, message: FromClientEncoded): Effect.Effect<void, RpcClientError> => {
    switch (message._tag) {
      case "Request":
        return this.call(id, message)
      case "Ack":
        return Effect.sync(() => this.clients.get(id)?.calls.get(message.requestId)?.acknowledge())
      case "Interrupt":
        return Effect.sync(() => this.clients.get(id)?.calls.get(message.requestId)?.stop())
      default:
        // Whether a connection lives is the pool's affair, and when it ends.
        return Effect.void
    }
  }

  /** Tells a client something, once it listens. */
  readonly tell = (id: number, response: FromServerEncoded): Effect.Effect<void> =>
    Effect.suspend(() => this.deliver(id, response))

  private clientOf(id: number): Client {
    const known = this.clients.get(id)
    if (known !== undefined) return known
    const client: Client = { writers: [], calls: new Map(), waiting: new Set() }
    this.clients.set(id, client)
    return client
  }

  private enter(id: number, write: Write): Client {
    const client = this.clientOf(id)
    client.writers.push(write)
    for (const wake of client.waiting) wake()
    client.waiting.clear()
    return client
  }

  private leave(id: number, client: Client, write: Write): void {
    client.writers.splice(client.writers.indexOf(write), 1)
    if (client.writers.length > 0) return
    for (const call of Array.from(client.calls.values())) call.stop()
    this.forgetIfGone(id, client)
  }

  private forgetIfGone(id: number, client: Client): void {
    const isGone = client.writers.length === 0 && client.calls.size === 0 && client.waiting.size === 0
    if (isGone && this.clients.get(id) === client) this.clients.delete(id)
  }

  private call(id: number, request: RequestEncoded): Effect.Effect<void, RpcClientError> {
    return Effect.uninterruptibleMask((restore) => {
      const client = this.clientOf(id)
      const call = new RpcCall(request, this.calls.deadline)
      client.calls.set(request.id, call)
      this.calls.begin(call)
      return Effect.onExit(restore(this.relay(id, call)), () =>
        Effect.sync(() => {
          call.abandon()
          if (client.calls.get(request.id) === call) client.calls.delete(request.id)
          this.forgetIfGone(id, client)
        })
      )
    })
  }

  private relay(id: number, call: RpcCall): Effect.Effect<void, RpcClientError> {
    return Effect.matchEffect(call.take, {
      onFailure: (error) => this.failed(error),
      onSuccess: ([reply]) => {
        const told = this.deliver(id, { ...reply, requestId: call.request.id })
        return reply._tag === "Exit" ? told : Effect.flatMap(told, () => this.relay(id, call))
      }
    })
  }

  private failed(error: Refusal | RequestError | LaggedError | StreamEnd): Effect.Effect<void, RpcClientError> {
    if (error === streamEnd) return Effect.void
    if (error._tag === "Refusal") return Effect.suspend(() => Effect.die(this.failures.defectOf(error.defect)))
    return Effect.fail(this.failures.errorOf(error))
  }

  private deliver(id: number, response: FromServerEncoded): Effect.Effect<void> {
    const { writers } = this.clients.get(id) ?? nobody
    if (writers.length === 1) return writers[0]!(response)
    if (writers.length > 1) return Effect.forEach([...writers], (write) => write(response), { discard: true })
    return Effect.flatMap(
      callback<void>((resume) => {
        // The scheduler may have let others go first, and a client that has left is forgotten.
        const client = this.clientOf(id)
        const wake = () => resume(Effect.void)
        if (client.writers.length > 0) return wake()
        client.waiting.add(wake)
        return Effect.sync(() => {
          client.waiting.delete(wake)
          this.forgetIfGone(id, client)
        })
      }),
      () => this.deliver(id, response)
    )
  }
}
