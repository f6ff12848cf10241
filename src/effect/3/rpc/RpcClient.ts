export * from "@effect/rpc/RpcClient"
