import type { Agent } from "node:http"
import { Layer } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"

export const layer = (options: { readonly url: string; readonly agent: Agent; readonly ca: string }) =>
  WebSocketPool.layer({ url: options.url }).pipe(
    Layer.provide(NodeWebSocketTransport.layer({ agent: options.agent, ca: options.ca }))
  )
