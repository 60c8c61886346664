import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/kernel/ids.ts'
import { type Browser, hasChromium, openBrowser } from './browser.ts'
import { type FixtureServer, ownerToken, startFixtureServer } from './fixture-server.ts'
import { project, scenarios } from './scenarios.ts'

const polled = { timeout: 60_000 }

describe.skipIf(!hasChromium())('Live', () => {
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

  const open = async (name: keyof typeof scenarios, path = '') => {
    server = await startFixtureServer(scenarios[name](Date.now()))
    await page.goto(`${server.url}/projects/${project}${path}`)
    await page.locator('.live', { hasText: 'live' }).waitFor()
  }
  const running = () => {
    const execution = server.scenario.executions[0]!
    return { execution, train: execution.nodes.find(({ id }) => id === 'train')! }
  }

  it('a step that ends shows so by its event, without a reload', async () => {
    await open('firstRun')
    const box = page.getByRole('link', { name: /^train/ })
    await box.and(page.locator('[data-state="running"]')).waitFor()
    const { execution, train } = running()
    Object.assign(train, { state: 'succeeded', endedAt: Date.now() })
    server.tell({
      type: 'step.changed',
      payload: { project, executionId: execution.id as ExecutionId, node: 'train', state: 'succeeded' },
    })
    await box.and(page.locator('[data-state="passed"]')).waitFor()
  })

  it('a broken stream is shown as paused, taken up again, and what was missed is caught up', async () => {
    await open('firstRun')
    await page.getByRole('link', { name: /^train/ }).waitFor()
    server.dropStreams()
    await page.locator('.live', { hasText: 'paused' }).waitFor()
    Object.assign(running().train, { state: 'succeeded', endedAt: Date.now() })
    server.takeStreams()
    await page.locator('.live', { hasText: 'live' }).waitFor()
    await page
      .getByRole('link', { name: /^train/ })
      .and(page.locator('[data-state="passed"]'))
      .waitFor()
  })

  it('a log is followed to its end while it grows, and stays where the eye rests when one scrolls up', async () => {
    await open('firstRun', `/executions/${scenarios.firstRun(0).executions[0]!.id}?step=train`)
    const log = page.getByRole('region', { name: 'Log of train' })
    await log.getByText('[0059]').waitFor()
    const written = server.scenario.logs.train!
    written.text += 'epoch done\n'
    await log.getByText('epoch done').waitFor()
    await expect
      .poll(() => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight), polled)
      .toBeLessThan(2)

    await log.focus()
    await page.keyboard.press('Home')
    await page.getByRole('button', { name: 'Follow', pressed: false }).waitFor()
    await expect.poll(() => log.evaluate((box) => box.scrollTop), polled).toBe(0)
    written.text += 'more\n'.repeat(50)
    await expect.poll(() => log.evaluate((box) => box.scrollHeight), polled).toBeGreaterThan(2_000)
    expect(await log.evaluate((box) => box.scrollTop)).toBe(0)
  })

  it('the log is searched, and jumps to the error that ended the step', async () => {
    const failed = scenarios.gateFailed(0).executions[1]!
    await open('gateFailed', `/executions/${failed.id}?step=train`)
    const log = page.getByRole('region', { name: 'Log of train' })
    await page.getByRole('button', { name: 'Jump to the error' }).click()
    await log.locator('[data-current="true"]', { hasText: 'Traceback' }).waitFor()
    await page.getByRole('searchbox', { name: 'Search the log' }).fill('[0007]')
    await page.keyboard.press('Enter')
    await log.locator('[data-current="true"]', { hasText: '[0007]' }).waitFor()
    await page.getByText('1 of 1').waitFor()
  })

  it('a log of 200,000 lines keeps only the lines in sight in the page', async () => {
    server = await startFixtureServer(scenarios.gateFailed(Date.now()))
    server.scenario.logs.train = { text: `${'a line of a long log\n'.repeat(200_000)}the end\n`, ended: true }
    await page.goto(`${server.url}/projects/${project}/executions/${server.scenario.executions[0]!.id}?step=train`)
    const log = page.getByRole('region', { name: 'Log of train' })
    await log.getByText('the end').waitFor()
    expect(await log.locator('li').count()).toBeLessThan(120)
  })

  it('without a token a promotion shows the line to type and no button; with one it can be approved', async () => {
    await open('waiting')
    await page.getByText('Approve version 4 for production').waitFor()
    const card = page.getByRole('region', { name: 'Waiting for you' })
    expect(await card.getByRole('button', { name: 'Approve', exact: true }).count()).toBe(0)
    expect(await card.locator('code').textContent()).toMatch(/^modelwright approve /)

    await page.getByRole('button', { name: 'Sign in with token' }).click()
    await page.getByLabel('Token', { exact: true }).fill(ownerToken)
    await page.keyboard.press('Enter')
    await card.getByRole('button', { name: 'Approve', exact: true }).click()
    await card.getByText('Nothing', { exact: true }).waitFor()
    expect(server.scenario.promotions[0]!.decidedBy).toBe('owner')
  })

  it('a token that the server does not know is refused in the dialog, and not kept', async () => {
    await open('waiting')
    await page.getByRole('button', { name: 'Sign in with token' }).click()
    await page.getByLabel('Token', { exact: true }).fill('mistyped')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('This token is not known here.').waitFor()
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
  })

  it('metrics of the chosen step are drawn, and read out in words', async () => {
    await open('canary', `/executions/${scenarios.canary(0).executions[0]!.id}?step=train&tab=metrics`)
    await page.getByRole('img', { name: /^loss: 200 points, from 0\.\d+ to 0\.0\d+/ }).waitFor()
    await expect.poll(() => page.locator('.chart canvas').count(), polled).toBe(2)
  })
})
