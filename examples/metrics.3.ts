import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Metrics, Resource } from "@effect/opentelemetry"
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus"
import { Context, Effect, Layer } from "effect"

/** Where the metrics can be scraped. */
export class Scrape extends Context.Tag("Scrape")<Scrape, { readonly url: string }>() {}

/** Serves every metric of the program for Prometheus to scrape. Port 0 lets the system choose one. */
export const PrometheusLive = (port: number) =>
  Layer.scoped(
    Scrape,
    Effect.gen(function* () {
      const exporter = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true })
      exporter.setMetricProducer(yield* Metrics.makeProducer)
      const server = createServer((request, response) => exporter.getMetricsRequestHandler(request, response))
      yield* Effect.addFinalizer(() =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
      )
      const address = yield* Effect.async<AddressInfo>((resume) => {
        server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server.address() as AddressInfo)))
      })
      return { url: `http://127.0.0.1:${address.port}/metrics` }
    })
  ).pipe(Layer.provide(Resource.layer({ serviceName: "my-service" })))
