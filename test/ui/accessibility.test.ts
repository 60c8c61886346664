import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Browser, hasChromium, openBrowser } from './browser.ts'
import { type FixtureServer, startFixtureServer } from './fixture-server.ts'
import { project, type Scenario, type ScenarioName, scenarios } from './scenarios.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const now = Date.now()

const pages = {
  loop: () => `/projects/${project}`,
  executions: () => `/projects/${project}/executions`,
  runs: () => `/projects/${project}/runs`,
  models: () => `/projects/${project}/models`,
  deployments: () => `/projects/${project}/deployments`,
  monitoring: () => `/projects/${project}/monitoring`,
  lineage: () => `/projects/${project}/lineage`,
  log: (scenario: Scenario) => stepOf(scenario, 'log'),
  metrics: (scenario: Scenario) => stepOf(scenario, 'metrics'),
  why: (scenario: Scenario) => stepOf(scenario, 'why'),
  failed: ({ executions }: Scenario) => `/projects/${project}/executions/${executions[1]!.id}`,
  version: ({ versions }: Scenario) => `/projects/${project}/models/${project}/versions/${versions[0]!.version}`,
  home: () => '/',
  'no such page': () => '/no/such/page',
  'unknown execution': () => `/projects/${project}/executions/unknown`,
} satisfies Record<string, (scenario: Scenario) => string>

const stepOf = ({ executions }: Scenario, tab: string): string =>
  `/projects/${project}/executions/${executions[0]!.id}?step=train&tab=${tab}`

/** Each page once where it has most to show, and again where another scenario makes it look different. */
const visits: Record<ScenarioName, (keyof typeof pages)[]> = {
  empty: ['home', 'no such page'],
  connected: ['loop', 'executions', 'runs', 'models', 'deployments', 'monitoring', 'lineage'],
  firstRun: ['loop', 'log'],
  gateFailed: ['loop', 'failed', 'unknown execution'],
  canary: ['loop', 'executions', 'runs', 'models', 'deployments', 'monitoring', 'metrics', 'why', 'version', 'lineage'],
  waiting: ['loop', 'deployments', 'version'],
  crowded: ['loop', 'deployments', 'version'],
  gatewayAway: ['deployments'],
}

/** What serious or critical rules axe finds broken, each with where. */
async function seriousFindings(page: Page, rules?: string[]): Promise<string[]> {
  const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) }
  const results = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(options)})`)
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`)
}

/** The page as it is once everything that it asked for has come. */
async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor()
  await page.waitForFunction(`document.querySelector('[aria-label="Loading"]') === null`)
}

describe.skipIf(!hasChromium())('Pages for everyone', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  for (const name of Object.keys(scenarios) as ScenarioName[]) {
    describe(name, () => {
      let server: FixtureServer
      let page: Page
      const paths = visits[name].map((visit) => pages[visit](scenarios[name](now)))
      beforeAll(async () => {
        server = await startFixtureServer(scenarios[name](now))
        page = await browser.context.newPage()
      })
      afterAll(async () => {
        await page?.close()
        await server?.close()
      })

      it('axe finds nothing serious, neither in light nor in dark', async () => {
        const found: string[] = []
        for (const path of paths) {
          await page.goto(server.url + path)
          await settled(page)
          await page.evaluate(axe)
          await page.emulateMedia({ colorScheme: 'light' })
          for (const finding of await seriousFindings(page)) found.push(`${path} light ${finding}`)
          // Only contrast can differ by theme.
          await page.emulateMedia({ colorScheme: 'dark' })
          for (const finding of await seriousFindings(page, ['color-contrast'])) found.push(`${path} dark ${finding}`)
        }
        expect(found).toEqual([])
      })

      it('a screen of 360 pixels needs no scrolling sideways', async () => {
        await page.setViewportSize({ width: 360, height: 740 })
        const tooWide: string[] = []
        for (const path of paths) {
          await page.goto(server.url + path)
          await settled(page)
          const surplus = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
          if (surplus > 0) tooWide.push(`${path} by ${surplus} px`)
        }
        expect(tooWide).toEqual([])
      })
    })
  }
})
