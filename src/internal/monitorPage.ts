import { charts } from "./monitorCharts.js"
import { view } from "./monitorScript.js"
import { style } from "./monitorStyle.js"

export { style }

export const script: string = `"use strict";(() => {\n${charts}${view}})()\n`

const chart = (id: string, title: string, note = ""): string =>
  `<figure id="${id}" class="chart">
<figcaption><h2>${title}${note === "" ? "" : ` <small>${note}</small>`}</h2><ul class="legend"></ul></figcaption>
<canvas role="img" tabindex="0" aria-label="${title}"></canvas>
</figure>`

const total = (key: string, title: string): string => `<div><dt>${title}</dt><dd data-total="${key}">–</dd></div>`

const column = (key: string, title: string, kind = "number"): string =>
  `<th scope="col" class="${kind}"><button type="button" data-sort="${key}">${title}</button></th>`

/** A constant: what it shows comes over the stream, and is set as text. */
export const page: string = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>WebSocket pool</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<div class="title"><h1 id="name">WebSocket pool</h1><p id="limits">&nbsp;</p></div>
<p id="status" role="status" data-state="waiting"><i></i><span id="status-text">Connecting to the monitor</span></p>
</header>
<noscript><p class="notice">This page draws with a script. Scripts are switched off.</p></noscript>
<main>
<dl class="tiles">
<div><dt>In use</dt><dd><b id="busy">–</b> <span id="of"></span></dd></div>
<div><dt>Waiting</dt><dd><b id="waiting">–</b></dd></div>
<div><dt>Leases per second</dt><dd><b id="rate">–</b></dd></div>
<div id="trouble"><dt>Failures in 2 minutes</dt><dd><b id="failures">–</b></dd></div>
</dl>
<section class="charts">
${chart("states", "Connections")}
${chart("waiters", "Waiting for a lease")}
${chart("waited", "Time waited", "over 30 s")}
${chart("held", "Time held", "over 30 s")}
${chart("connecting", "Time to connect", "over 30 s")}
</section>
<section>
<h2>Since the start</h2>
<dl class="totals">
${[
  total("acquired", "Leases"),
  total("opened", "Opened"),
  total("closed", "Closed"),
  total("connectFailures", "Failed connects"),
  total("exhausted", "Exhausted"),
  total("discarded", "Discarded"),
  total("messagesDropped", "Dropped messages"),
  total("drainTimeouts", "Drain timeouts"),
  total("healthCheckFailures", "Failed checks")
].join("\n")}
</dl>
</section>
<section>
<div class="bar"><h2>Connections <span id="connection-count" class="count"></span></h2></div>
<div class="scroll" id="connections" role="region" aria-label="Connections" tabindex="0">
<table>
<thead><tr>
${[
  column("id", "Connection", "text"),
  column("state", "State", "text"),
  column("openedAt", "Age"),
  column("lastActivityAt", "Quiet for"),
  column("leases", "Leases"),
  column("messagesSent", "Msgs out"),
  column("messagesReceived", "Msgs in"),
  column("bytesSent", "Bytes out"),
  column("bytesReceived", "Bytes in")
].join("\n")}
</tr></thead>
<tbody></tbody>
</table>
<p class="empty" id="no-connections">None at the moment.</p>
</div>
</section>
<section>
<div class="bar">
<h2>Last hundred events</h2>
<label><input type="checkbox" id="with-routine"> Leases and drains too</label>
<button type="button" id="pause" aria-pressed="false">Pause</button>
</div>
<div class="scroll" id="events" role="region" aria-label="Events" tabindex="0">
<table>
<thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">Connection</th><th scope="col">What</th></tr></thead>
<tbody></tbody>
</table>
<p class="empty" id="no-events">None since this page was opened.</p>
</div>
</section>
</main>
<script>${script}</script>
</body>
</html>
`
