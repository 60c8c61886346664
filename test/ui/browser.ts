import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, chromium } from 'playwright-core'

const executablePath = '/usr/bin/chromium'
const args = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]
const builtPages = fileURLToPath(new URL('../../ui/dist/index.html', import.meta.url))

/** False, with the reason printed, where there is no Chromium; an error where REQUIRE names chromium. */
export function hasChromium(): boolean {
  if (!existsSync(builtPages)) throw new Error('The pages are not built: npm run build.')
  if (existsSync(executablePath)) return true
  const reason = `there is no ${executablePath}`
  if ((process.env.REQUIRE ?? '').split(',').includes('chromium'))
    throw new Error(`REQUIRE names chromium, but ${reason}.`)
  console.warn(`Skipped: ${reason}.`)
  return false
}

export type Browser = { context: BrowserContext; close: () => Promise<void> }

/** Chromium with an empty profile of its own, which goes with it. */
export async function openBrowser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'modelwright-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(60_000)
  return {
    context,
    close: async () => {
      await context.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
