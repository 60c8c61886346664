import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Browser, hasChromium, openBrowser } from './browser.ts'
import { type FixtureServer, startFixtureServer } from './fixture-server.ts'
import { project, type ScenarioName, scenarios } from './scenarios.ts'

describe.skipIf(!hasChromium())('What serving does', () => {
  let browser: Browser
  let server: FixtureServer
  let page: Page
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())
  beforeEach(async () => {
    page = await browser.context.newPage()
  })
  afterEach(async () => {
    await page.close()
    await server.close()
  })

  const open = async (name: ScenarioName, path = '/deployments') => {
    server = await startFixtureServer(scenarios[name](Date.now()))
    await page.clock.install()
    await page.goto(`${server.url}/projects/${project}${path}`)
  }
  const region = (name: string) => page.getByRole('region', { name, exact: true })
  // biome-ignore lint/performance/useDomNodeTextContent: textContent runs blocks together without a blank
  const textOf = async (name: string): Promise<string> => (await region(name).innerText()).replace(/\s+/g, ' ')

  it('a version that fell asleep says so, why and since when', async () => {
    await open('crowded')
    await region('research').getByText('asleep, idle').waitFor()
    expect(await textOf('research')).toMatch(/Nobody asked for a while; a request loads it\. 40 min\.? ago/)
  })

  it('a version that Python computes says why, and what each of its processes takes', async () => {
    await open('canary')
    await region('production').getByText('Python, 2 processes, 421.3 MB').waitFor()
    const text = await textOf('production')
    expect(text).toContain('Not converted: its flavour is pyfunc.')
    expect(text).toContain('pid 40711 takes 212.4 MB, pid 40719 takes 208.9 MB.')
    expect(text).toContain('Parity on 50 rows of its input example')
  })

  it('who waits, who was turned away, and which inputs were refused stand there in numbers', async () => {
    await open('crowded')
    await region('production').getByText('211 waiting').waitFor()
    const text = await textOf('production')
    expect(text).toContain('Turned away 1,204')
    expect(text).toContain('Inputs refused 1,359 range 1,310 missing 42 missing-column 7')
    expect(text).toContain('318 values')
    expect(text).toContain('3 processes were replaced because they took more memory than they may.')
  })

  it('a version that is larger than all memory is failed, with both numbers', async () => {
    await open('crowded')
    await region('staging').getByText('failed, too large').waitFor()
    expect(await textOf('staging')).toContain('It takes 5.2 GB of memory; all models together may take 4.0 GB')
  })

  it('the gateway tells the memory of all models, what it could not write down, and what it cannot read', async () => {
    await open('crowded')
    await region('Gateway').getByText('of 4.0 GB').waitFor()
    const text = await textOf('Gateway')
    for (const told of ['2 of 3 processes answer', '3.9 GB', '1,204,331', '17 could not be', 'desired.json is gone'])
      expect(text).toContain(told)
  })

  it('a gateway that does not answer is told with the command that starts it, and nothing is said of what it has', async () => {
    await open('gatewayAway')
    await region('Gateway').getByText('modelwright up', { exact: true }).first().waitFor()
    expect(await textOf('production')).not.toContain('At the gateway')
  })

  it('what changes at the gateway shows without a reload, though no event tells of it', async () => {
    await open('crowded')
    await region('research').getByText('asleep, idle').waitFor()
    const { endpoint } = server.scenario.deployments.find(({ environment }) => environment === 'research')!
    const { cause: _, reason: __, ...version } = endpoint!.versions[0]!
    endpoint!.versions = [{ ...version, state: 'ready' }]
    await page.clock.runFor(5_000)
    await region('research').getByText('ready', { exact: true }).waitFor()
  })

  it("a version's page has the proof of its ONNX form, and how the gateway has it", async () => {
    await open('canary', `/models/${project}/versions/3`)
    await region('Computed as').getByText('4.2e-8').waitFor()
    const proof = await textOf('Computed as')
    for (const told of [
      '50 rows of its input example',
      '426 rows of its data',
      '812 rows',
      'at most 0.00001',
      'skl2onnx 1.20.0',
    ])
      expect(proof).toContain(told)
    expect(await textOf('At the gateway')).toMatch(/production ready ONNX/)
  })

  it("a version's page says why it has no ONNX form, and whether that is tried again", async () => {
    await open('crowded', `/models/${project}/versions/2`)
    await region('Computed as').getByText('It took longer than 5 m 0 s').waitFor()
    expect(await textOf('Computed as')).toContain('the next start tries again')
    expect(await textOf('At the gateway')).toMatch(/research asleep, idle/)
  })
})
