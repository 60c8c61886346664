import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Browser, hasChromium, openBrowser } from './browser.ts'
import { type FixtureServer, startFixtureServer } from './fixture-server.ts'
import { project, scenarios } from './scenarios.ts'

describe.skipIf(!hasChromium())('Getting around', () => {
  let browser: Browser
  let server: FixtureServer
  let page: Page
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())
  beforeEach(async () => {
    server = await startFixtureServer(scenarios.gateFailed(Date.now()))
    page = await browser.context.newPage()
  })
  afterEach(async () => {
    await page.close()
    await server.close()
  })
  const title = () => page.locator('h1')
  const hasTitle = (text: string) => title().filter({ hasText: text }).waitFor()

  it('the first address leads to the loop of the first project', async () => {
    await page.goto(server.url)
    await page.waitForURL(`**/projects/${project}`)
    await hasTitle(project)
  })

  it('by Tab and Enter alone one comes from the loop to the log of a step', async () => {
    await page.goto(`${server.url}/projects/${project}`)
    const step = page.getByRole('link', { name: /^prepare/ })
    await step.waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the page')
    for (let i = 0; i < 60; i++) {
      if (await step.evaluate((link) => link.matches(':focus'))) break
      await page.keyboard.press('Tab')
    }
    await page.getByRole('tooltip').getByText('nothing that it depends on changed').waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/executions/*?step=prepare')
    await page.getByText('Reused, so nothing was written now').waitFor()
  })

  it('Ctrl-K finds a page by a few letters, Enter goes there, and back returns', async () => {
    await page.goto(`${server.url}/projects/${project}`)
    await hasTitle(project)
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox', { name: /Go to/ }).fill('depl')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/deployments')
    await hasTitle('Deployments')
    expect(await page.getByRole('dialog').count()).toBe(0)
    await page.goBack()
    await hasTitle(project)
  })

  it('arrows choose in the palette, and Escape closes it', async () => {
    await page.goto(`${server.url}/projects/${project}`)
    await hasTitle(project)
    await page.keyboard.press('Control+k')
    const box = page.getByRole('combobox', { name: /Go to/ })
    await box.waitFor()
    await page.keyboard.press('ArrowDown')
    const chosen = page.getByRole('option', { selected: true })
    await chosen.filter({ hasText: 'Executions' }).waitFor()
    await page.keyboard.press('Escape')
    await box.waitFor({ state: 'detached' })
  })

  it("a push's link to its commit leads to the newest execution of it, and back does not trap", async () => {
    const [execution] = server.scenario.executions
    await page.goto(`${server.url}/projects/${project}/executions`)
    await hasTitle('Executions')
    await page.goto(`${server.url}/projects/${project}/commits/${execution!.commit}`)
    await page.waitForURL(`**/executions/${execution!.id}`)
    await hasTitle(execution!.subject)
    await page.goBack()
    await hasTitle('Executions')
  })

  it('the project switch goes to the other project', async () => {
    await page.goto(`${server.url}/projects/${project}`)
    await hasTitle(project)
    await page.getByRole('combobox', { name: 'Project' }).selectOption('credit-risk')
    await hasTitle('credit-risk')
  })

  it('the chosen theme stays after a reload', async () => {
    await page.emulateMedia({ colorScheme: 'light' })
    await page.goto(`${server.url}/projects/${project}`)
    const theme = page.getByRole('button', { name: /^Theme/ })
    await theme.click()
    await theme.click()
    await page.reload()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(background).toBe('rgb(13, 14, 17)')
    await page.evaluate('localStorage.clear()')
  })

  it('an unknown execution shows code, what happened, and the next move', async () => {
    await page.goto(`${server.url}/projects/${project}/executions/none`)
    const alert = page.getByRole('alert')
    await alert.waitFor()
    const text = await alert.textContent()
    expect(text).toContain('NotFound')
    expect(text).toContain('There is no execution none.')
    expect(text).toContain('→ Look at the list')
  })
})
