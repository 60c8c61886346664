// `npm run differential -- --seed N --calls N --families a,b`: the same random calls to a stock MLflow server and to ours.
// A difference that known-differences.ts does not list fails the run, and is printed with both answers.
import { parseArgs } from 'node:util'
import { testPython } from '../support/python.ts'
import { type Answer, Names } from './compare.ts'
import { Differential, families, type Outcome, type Send } from './differential.ts'
import { type Servers, startServers } from './servers.ts'
import type { Call } from './world.ts'

const { values: asked } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    calls: { type: 'string', default: '400' },
    families: { type: 'string' },
    /** Servers that run already, both as empty as each other. */
    stock: { type: 'string' },
    ours: { type: 'string' },
  },
})
const answerLimitMs = 120_000

const chosen = asked.families?.split(',')
const unknown = chosen?.filter((name) => !families.some((family) => family.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`There is no family ${unknown.join(', ')}; there are: ${families.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
const servers = await serversAsked()
try {
  const startedAt = Date.now()
  const side = (url: string) => ({ send: sender(url), names: new Names(startedAt) })
  const differential = new Differential({
    seed: Number(asked.seed),
    families: families.filter(({ name }) => chosen?.includes(name) ?? true),
    stock: side(servers.stock),
    ours: side(servers.ours),
  })
  const outcome = await differential.run(Number(asked.calls))
  tell(outcome, Date.now() - startedAt)
  process.exitCode = outcome.found.size === 0 ? 0 : 1
} finally {
  servers.end()
}

function serversAsked(): Promise<Servers> | Servers {
  if (asked.stock && asked.ours) return { stock: asked.stock, ours: asked.ours, end: () => {} }
  const python = testPython()
  if (!python) throw new Error('No stock server: run it by `npm run differential`.')
  console.log('Starting a stock MLflow server and ours …')
  return startServers(python)
}

function sender(url: string): Send {
  return async ({ method, path, body, query }: Call): Promise<Answer> => {
    const target = new URL(encodeURI(path), url)
    for (const [name, value] of Object.entries(query ?? {}))
      for (const one of [value].flat()) target.searchParams.append(name, one)
    const response = await fetch(target, {
      method,
      ...(method === 'GET'
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) }),
      signal: AbortSignal.timeout(answerLimitMs),
    })
    const text = await response.text()
    return { status: response.status, body: parsed(text) }
  }
}

/** Some of stock's answers hold numbers that JSON has none for. */
function parsed(body: string): unknown {
  const text = body.replace(/(?<=":\s*)-?(NaN|Infinity)(?=\s*[,}])/g, (number) => `"${number}"`)
  try {
    return JSON.parse(text)
  } catch {
    return text.slice(0, 2000)
  }
}

function tell(outcome: Outcome, tookMs: number): void {
  for (const [known, count] of outcome.known) console.log(`known, ${count} times: ${known.reason}`)
  for (const found of outcome.found.values()) {
    console.log(
      `\nDIFFERENCE, ${found.count} times, first at call ${found.atCall} of seed ${asked.seed}: ${found.class}`,
    )
    console.log(
      `  call   ${found.call.method} ${found.call.path} ${JSON.stringify(found.call.body ?? found.call.query ?? {}).slice(0, 1500)}`,
    )
    console.log(`  field  ${found.difference.field}`)
    console.log(`  stock  ${found.difference.stock}`)
    console.log(`  ours   ${found.difference.ours}`)
  }
  const knownCount = [...outcome.known.values()].reduce((sum, count) => sum + count, 0)
  console.log(
    `\nseed ${asked.seed}: ${outcome.calls} calls (${outcome.requests} requests to each, ${outcome.refused} refused by stock) in ` +
      `${outcome.episodes} episodes, ${Math.round(tookMs / 1000)} s; ${knownCount} known differences of ${outcome.known.size} kinds, ` +
      `${outcome.found.size} kinds that are not known`,
  )
}
