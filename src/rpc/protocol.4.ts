import type * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientDefect, RpcClientError } from "effect/rpc/RpcClientError"
import type { Parser, RpcSerialization } from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import type { Exchange, Failures } from "./exchange.js"

/** What a client of RPC stands on. */
export type Service = RpcClient.Protocol["Service"]

type Serialization = RpcSerialization["Service"]

export const parserOf = (serialization: Serialization): Parser => serialization.makeUnsafe()

export const failuresOf = (serialization: Serialization): Failures => ({
  defectOf: Schema.decodeUnknownSync(serialization.codecFor(Schema.Defect())),
  // The cause stands where Effect has it, and where every other error has it, which is what loggers print.
  errorOf: (cause) =>
    Object.assign(new RpcClientError({ reason: new RpcClientDefect({ message: cause.message, cause }) }), { cause })
})

export const serviceOf = ({ run, send }: Exchange, { codecFor }: Serialization): Service => ({
  run,
  send,
  supportsAck: true,
  supportsTransferables: false,
  codecFor
})
