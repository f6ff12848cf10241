import * as Exit from "#effect/Exit"
import * as Predicate from "#effect/Predicate"
import type {
  FromClientEncoded,
  FromServerEncoded,
  RequestEncoded,
  ResponseChunkEncoded,
  ResponseExitEncoded
} from "#effect/rpc/RpcMessage"
import type { Parser } from "#effect/rpc/RpcSerialization"
import type { WideCodec } from "../requests/api.js"
import { Incoming } from "../requests/incoming.js"
import type { Message } from "../values/message.js"

/** What a server says of one call: some of its stream, or its end. */
export type Reply = ResponseChunkEncoded | ResponseExitEncoded

/** A defect of the server. It does not say which call has met it. */
export class Refusal {
  readonly _tag = "Refusal"

  constructor(readonly defect: unknown) {}
}

/**
 * The messages of RPC over one lease of a connection. Calls have the ids of the lease on the wire: those of several clients
 * cannot meet there.
 */
export class RpcCodec implements WideCodec<RequestEncoded, Reply, Refusal> {
  private writer: Parser

  constructor(
    private readonly makeParser: () => Parser,
    /** Reads what comes. The server writes all leases of a connection with one parser, so it outlives this one. */
    private readonly reader: Parser
  ) {
    this.writer = makeParser()
  }

  readonly encode = (id: number, request: RequestEncoded): Message => this.write({ ...request, id: String(id) })

  readonly decode = (message: Message): ReadonlyArray<Incoming<Reply, Refusal>> => {
    const incoming: Array<Incoming<Reply, Refusal>> = []
    for (const said of this.reader.decode(message)) {
      const one = read(said)
      if (one !== undefined) incoming.push(one)
    }
    return incoming
  }

  readonly cancel = (id: number): Message => this.write({ _tag: "Interrupt", requestId: String(id) })

  readonly ack = (id: number): Message => this.write({ _tag: "Ack", requestId: String(id) })

  /** It may be taken back, so what is written behind it must not build on it. */
  readonly waits = (): void => this.startOver()

  /** A parser may have named something for good in a message that the server does not see. A new one has named nothing. */
  private startOver(): void {
    this.writer = this.makeParser()
  }

  private write(message: FromClientEncoded): Message {
    try {
      const written = this.writer.encode(message)
      if (written === undefined) throw new TypeError("RpcSerialization has written nothing")
      return written
    } catch (error) {
      this.startOver()
      throw error
    }
  }
}

const read = (said: unknown): Incoming<Reply, Refusal> | undefined => {
  if (!isSaid(said)) throw new TypeError("It is no message of RPC")
  switch (said._tag) {
    case "Chunk":
      return Incoming.Item({ id: Number(said.requestId), value: said })
    case "Exit":
      return Incoming.End<Reply, Refusal>({ id: Number(said.requestId), exit: Exit.succeed(said) })
    case "Defect":
      return Incoming.Refused({ error: new Refusal(said.defect) })
    case "Pong":
      return undefined
    default:
      return Incoming.Notice({ value: said })
  }
}

const isSaid = (said: unknown): said is FromServerEncoded =>
  Predicate.hasProperty(said, "_tag") && typeof said._tag === "string"
