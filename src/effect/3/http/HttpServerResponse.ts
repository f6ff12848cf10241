export * from "@effect/platform/HttpServerResponse"
