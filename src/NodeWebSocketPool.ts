/**
 * `WebSocketPool` on Node.js: the layers, with the transport provided.
 *
 * @since 0.1.0
 */
import type * as ConfigError from "effect/ConfigError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
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
 * @category layers
 * @since 0.1.0
 */
export const layer = <RUrl = never, RHeaders = never, ROnConnect = never, RHealthCheck = never, ROnRelease = never>(
  options: WebSocketPool.Options<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
): Layer.Layer<
  WebSocketPool.WebSocketPool,
  ConfigError.ConfigError,
  Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease, Scope.Scope>
> => Layer.provide(WebSocketPool.layer(options), NodeWebSocketTransport.layer())

/**
 * `layer` with options from `Config`. Hooks are given as `Config.succeed(hook)`; undefined keys are ignored.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <
  RUrl = never,
  RHeaders = never,
  ROnConnect = never,
  RHealthCheck = never,
  ROnRelease = never
>(
  options: WebSocketPool.OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease>
): Layer.Layer<
  WebSocketPool.WebSocketPool,
  ConfigError.ConfigError,
  Exclude<RUrl | RHeaders | ROnConnect | RHealthCheck | ROnRelease, Scope.Scope>
> => Layer.provide(WebSocketPool.layerConfig(options), NodeWebSocketTransport.layer())
