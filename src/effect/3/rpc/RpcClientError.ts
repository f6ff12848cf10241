export * from "@effect/rpc/RpcClientError"
