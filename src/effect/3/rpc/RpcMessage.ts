export * from "@effect/rpc/RpcMessage"
