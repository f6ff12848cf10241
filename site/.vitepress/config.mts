import { readFileSync } from "node:fs"
import { defineConfig } from "vitepress"

const { repository } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
const online = repository.url.replace(/^git\+|\.git$/g, "")

const link = (text: string, path: string) => ({ text, link: `/docs/${path}` })

export default defineConfig({
  title: "effect-websocket-pool",
  description: "A WebSocket connection pool for Effect: healthy, open connections, leased for as long as a scope lasts",
  // Where the site is, if not at the root of its host.
  base: (process.env.SITE_BASE as `/${string}/` | undefined) ?? "/",
  srcDir: "content",
  cleanUrls: true,
  lastUpdated: false,
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: "Quick start", link: "/#quick-start" },
      { text: "Documentation", link: "/docs/" },
      { text: "API", link: "/docs/api/" },
      { text: "Changelog", link: "/CHANGELOG" }
    ],
    socialLinks: [{ icon: "github", link: online }],
    outline: [2, 3],
    sidebar: [
      {
        text: "Guides",
        items: [
          link("Concepts", "guides/concepts"),
          link("Effect 3 and Effect 4", "guides/editions"),
          link("Sizing and timeouts", "guides/sizing-and-timeouts"),
          link("Authentication", "guides/authentication"),
          link("Proxies", "guides/proxies"),
          link("Drain", "guides/drain"),
          link("Testing", "guides/testing"),
          link("Observability", "guides/observability"),
          link("Monitor", "guides/monitor"),
          link("Many requests at once", "guides/many-requests"),
          link("Outgrowing one process", "guides/fleet"),
          link("Troubleshooting", "guides/troubleshooting"),
          link("What happens when things go wrong", "faults"),
          link("Performance", "performance")
        ]
      },
      {
        text: "Recipes",
        items: [
          link("Short recipes", "recipes/short"),
          link("In a server", "recipes/server"),
          link("Typed messages, requests", "recipes/typed-messages"),
          link("Many endpoints", "recipes/many-endpoints"),
          link("Real servers", "recipes/real-servers")
        ]
      },
      {
        text: "Coming from",
        items: [
          link("aio-websocket-pool", "guides/migrating-from-aio-websocket-pool"),
          link("Effect's Pool", "guides/migrating-from-effect-pool"),
          link("a reconnecting socket", "guides/migrating-from-a-reconnecting-socket")
        ]
      },
      { text: "Reference", items: [link("API", "api/")] }
    ]
  }
})
