export * from "@effect/rpc/RpcSerialization"
