import { Layer } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"

export const layer = (options: { readonly url: string; readonly proxy: string; readonly ca: string }) =>
  WebSocketPool.layer({ url: options.url }).pipe(
    Layer.provide(NodeWebSocketTransport.layer({ proxy: options.proxy, ca: options.ca }))
  )
