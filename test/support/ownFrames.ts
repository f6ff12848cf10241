/**
 * Whether the transport under test takes frames out by itself, or leaves them all to `ws`. What holds for one holds for
 * the other: a file of tests is run with `ws` by a second one, which imports `ownFrames.off` first.
 */
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Layer from "#effect/Layer"

export let ownFrames = true

export const leaveFramesToWs = (): void => {
  ownFrames = false
}

/** As `NodeWebSocketPool.layer`, or with options for the transport. */
export const nodePool = (options: WebSocketPool.Options, transport?: NodeWebSocketTransport.Options) =>
  WebSocketPool.layer(options).pipe(Layer.provide(NodeWebSocketTransport.layer({ ownFrames, ...transport })))
