import { assert, describe, it } from "#support/vitest"
import { isExempt } from "../../../src/transport/node/proxy.js"

describe("NO_PROXY", () => {
  const exempt: ReadonlyArray<readonly [list: string, url: string]> = [
    ["*", "ws://any.test"],
    ["example.com", "ws://example.com"],
    ["example.com", "wss://EXAMPLE.com./"],
    ["example.com", "ws://a.b.example.com"],
    [".example.com", "ws://a.example.com"],
    [".example.com", "ws://example.com"],
    ["*.example.com", "ws://a.example.com"],
    ["Example.Com", "ws://a.example.com"],
    ["other.test, example.com", "ws://example.com"],
    ["other.test example.com", "ws://example.com"],
    ["example.com:80", "ws://example.com"],
    ["example.com:443", "wss://example.com"],
    ["example.com:8080", "ws://a.example.com:8080"],
    ["127.0.0.1", "ws://127.0.0.1:9"],
    ["127.0.0.1:9", "ws://127.0.0.1:9"],
    ["10.0.0.0/8", "ws://10.1.2.3"],
    ["::1", "ws://[::1]:9"],
    ["[::1]", "ws://[::1]:9"],
    ["[::1]:9", "ws://[::1]:9"],
    ["0:0:0:0:0:0:0:1", "ws://[::1]:9"],
    ["fd00::/8", "ws://[fd12::1]"]
  ]
  for (const [list, url] of exempt) {
    it(`of "${list}" exempts ${url}`, () => assert.isTrue(isExempt(new URL(url), list)))
  }

  const others: ReadonlyArray<readonly [list: string, url: string]> = [
    ["", "ws://example.com"],
    [",, .", "ws://example.com"],
    ["example.com", "ws://notexample.com"],
    ["example.com", "ws://example.com.evil.test"],
    ["a.example.com", "ws://example.com"],
    ["example.com:80", "wss://example.com"],
    ["example.com:8080", "ws://example.com"],
    ["127.0.0.1", "ws://127.0.0.10"],
    ["0.0.1", "ws://127.0.0.1"],
    ["127.0.0.1:9", "ws://127.0.0.1:10"],
    ["10.0.0.0/8", "ws://11.0.0.1"],
    ["10.0.0.0/99", "ws://10.0.0.1"],
    ["10.0.0.0/x", "ws://10.0.0.1"],
    ["nonsense/8", "ws://10.0.0.1"],
    ["[::1]:9", "ws://[::1]:10"],
    ["fd00::/8", "ws://10.0.0.1"],
    ["[bad", "ws://example.com"]
  ]
  for (const [list, url] of others) {
    it(`of "${list}" does not exempt ${url}`, () => assert.isFalse(isExempt(new URL(url), list)))
  }
})
