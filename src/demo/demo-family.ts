import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { familyReady } from '../cli/up.ts'
import type { Config, SettingName } from '../compose/config.ts'
import { rememberDataFolder } from '../compose/data-folders.ts'
import { memberFacts } from '../compose/members.ts'
import { supervise } from '../compose/supervisor.ts'
import { AppError } from '../kernel/errors.ts'

export type Family = {
  server: string
  gateway: string
  /** False where somebody else's `modelwright up` runs on this data folder: then it goes on when the demo ends. */
  ours: boolean
  /** Ends what the demo started, and returns when nothing of it is left. */
  stop: () => Promise<void>
}

const startWithinMs = 30_000
/** One that ends so often before it answers will not start: a port is taken, the disk is full. */
const endsWhileStarting = 3

/** Server and gateway on the data folder: those that run there, else our own until `stop`. */
export async function startFamily(parts: {
  config: Config
  flags: Partial<Record<SettingName, unknown>>
  program: string
  signal: AbortSignal
  say: (line: string) => void
}): Promise<Family> {
  const { config, signal } = parts
  const ours = memberFacts(config.runDir, 'supervisor') === undefined
  const stopping = new AbortController()
  const givenUp = new AbortController()
  let ends = 0
  const say = (line: string) => {
    parts.say(line)
    if (++ends === endsWhileStarting) givenUp.abort()
  }
  const running = ours ? supervise({ ...parts, say, signal: stopping.signal }) : Promise.resolve()
  const stop = async () => {
    stopping.abort()
    await running
  }
  try {
    const ready = familyReady(config, AbortSignal.any([signal, givenUp.signal, AbortSignal.timeout(startWithinMs)]))
    const urls = await Promise.race([ready, running.then(() => (ours ? undefined : ready))])
    signal.throwIfAborted()
    if (!urls) throw await notReady(config)
    rememberDataFolder(config.dataDir, config.environment)
    return { ...urls, ours, stop }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}

async function notReady({ dataDir }: Config): Promise<AppError> {
  const logs = join(dataDir, 'logs')
  const texts = await Promise.all(
    ['server', 'gateway'].map((member) => readFile(join(logs, `${member}.log`), 'utf8').catch(() => '')),
  )
  const last = texts.map((text) => text.trimEnd().split('\n').slice(-3).join('\n')).join('\n')
  return new AppError(
    'DemoFailed',
    `Server and gateway could not be started. The last lines of their logs:\n${last}`,
    `Look into ${logs}. Where a port is taken, name others: --port 5100 --gateway-port 5101.`,
  )
}
