/**
 * `WebSocketPool` on Node.js: the layers, with the transport provided.
 *
 * @since 0.1.0
 */
import type * as Config from "#effect/Config"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import type * as Types from "#effect/Types"
import * as NodeWebSocketTransport from "./NodeWebSocketTransport.js"
import * as WebSocketPool from "./WebSocketPool.js"

/**
 * Makes a pool on Node.js that lives as long as the layer.
 *
 * **Details** `WebSocketPool.layer` with `NodeWebSocketTransport.layer()`. For a proxy or certificates, provide
 * `WebSocketPool.layer(options)` with `NodeWebSocketTransport.layer(transportOptions)` instead.
 *
 * **Errors** `ConfigError` names every bad option.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketPool } from "effect-websocket-pool"
 * import { NodeWebSocketPool } from "effect-websocket-pool/node"
 *
 * const Live = NodeWebSocketPool.layer({ url: "wss://echo.example", maxConnections: 10 })
 *
 * const program = WebSocketPool.use((connection) =>
 *   Effect.andThen(connection.send("hello"), connection.receive)
 * ).pipe(Effect.provide(Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: WebSocketPool.Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
): Layer.Layer<
  WebSocketPool.WebSocketPool,
  Config.ConfigError,
  Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
> => Layer.provide(WebSocketPool.layer(options), NodeWebSocketTransport.layer())

/**
 * Makes a pool on Node.js with options from `Config`; otherwise it is `layer`.
 *
 * **Details** Hooks are given as `Config.succeed(hook)`; undefined keys are ignored.
 *
 * **Errors** `ConfigError`: a value is missing or cannot be read, or an option is bad.
 *
 * @example
 * **Effect 4**
 *
 * ```ts
 * import { Config } from "effect"
 * import { NodeWebSocketPool } from "effect-websocket-pool/node"
 *
 * const Live = NodeWebSocketPool.layerConfig({
 *   url: Config.Redacted("SPEECH_URL"),
 *   headers: { authorization: Config.Redacted("SPEECH_TOKEN") },
 *   maxConnections: Config.Int("SPEECH_CONNECTIONS").pipe(Config.withDefault(10))
 * })
 * ```
 *
 * **Effect 3**
 *
 * ```ts
 * import { Config } from "effect"
 * import { NodeWebSocketPool } from "effect-websocket-pool/node"
 *
 * const Live = NodeWebSocketPool.layerConfig({
 *   url: Config.redacted("SPEECH_URL"),
 *   headers: { authorization: Config.redacted("SPEECH_TOKEN") },
 *   maxConnections: Config.integer("SPEECH_CONNECTIONS").pipe(Config.withDefault(10))
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never,
  RQuota = never
>(
  options: WebSocketPool.OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>
): Layer.Layer<
  WebSocketPool.WebSocketPool,
  Config.ConfigError,
  Exclude<Types.NoInfer<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease | RQuota>, Scope.Scope>
> => Layer.provide(WebSocketPool.layerConfig(options), NodeWebSocketTransport.layer())
