import { spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config, SettingName } from '../compose/config.ts'
import { rememberDataFolder } from '../compose/data-folders.ts'
import { familyOf, isWell, memberFacts } from '../compose/members.ts'
import { couldNotStart, flagWords, lastWordsOf, supervise } from '../compose/supervisor.ts'
import { AppError } from '../kernel/errors.ts'
import type { CliIo } from './io.ts'

type Flags = Partial<Record<SettingName, unknown>>

const startWithinMs = 30_000

/** Until Ctrl-C; prints where to look when both answer. */
export async function upInForeground(
  config: Config,
  flags: Flags,
  io: CliIo,
  untilTold: () => Promise<void>,
): Promise<number> {
  const stopping = new AbortController()
  const running = supervise({
    config,
    flags,
    program: process.argv[1]!,
    signal: stopping.signal,
    say: (line) => io.err(`${line}\n`),
  })
  const told = untilTold().then(() => stopping.abort())
  const ready = familyReady(config, stopping.signal, process.pid).then((urls) => {
    if (!urls) return
    rememberDataFolder(config.dataDir, config.environment)
    io.out(whereToLook(urls, io))
  })
  await Promise.race([running, told]).finally(() => stopping.abort())
  await Promise.all([running, ready])
  return 0
}

/** Starts the supervisor on its own and waits until both answer. */
export async function upInBackground(config: Config, flags: Flags, io: CliIo): Promise<number> {
  mkdirSync(join(config.dataDir, 'logs'), { recursive: true })
  const late = AbortSignal.timeout(startWithinMs)
  let urls: Urls | undefined
  if (memberFacts(config.runDir, 'supervisor')) {
    io.err('It is running already.\n')
    // With as many gateways as it was begun with.
    urls = await familyReady({ ...config, gateways: 1 }, late)
  } else {
    const { pid, ended } = beginSupervisor(config, flags)
    // What a killed one left may still answer: only the new one's count.
    const over = new AbortController()
    const ready = familyReady(config, AbortSignal.any([late, over.signal]), pid)
    urls = await Promise.race([ready, ended]).finally(() => over.abort())
  }
  if (!urls)
    throw new AppError(
      'ServerUnreachable',
      `Server and gateway did not answer within ${startWithinMs / 1000} s.`,
      `Look into ${join(config.dataDir, 'logs')}.`,
    )
  io.out(whereToLook(urls, io))
  return 0
}

/** `ended` rejects with what it said where it ends, which it should not. */
function beginSupervisor(config: Config, flags: Flags): { pid: number | undefined; ended: Promise<never> } {
  const path = join(config.dataDir, 'logs', 'supervisor.log')
  const log = openSync(path, 'a', 0o600)
  const from = fstatSync(log).size
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', process.argv[1]!, 'up', ...flagWords(flags)],
    { detached: true, stdio: ['ignore', log, log], env: config.environment },
  )
  closeSync(log)
  child.unref()
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      reject(couldNotStart('supervisor', signal ?? `status ${code}`, lastWordsOf(path, from), path)),
    )
  })
  return { pid: child.pid, ended }
}

type Urls = { server: string; gateway: string }

/** Undefined where the signal aborts before both answer. `supervisor`: only the family of that one counts. */
export async function familyReady(config: Config, signal: AbortSignal, supervisor?: number): Promise<Urls | undefined> {
  for (; !signal.aborted; await sleep(50)) {
    if (supervisor !== undefined && memberFacts(config.runDir, 'supervisor')?.pid !== supervisor) continue
    const family = familyOf(config).map((member) => memberFacts(config.runDir, member))
    const well = await Promise.all(family.map(async (facts) => facts !== undefined && (await isWell(facts))))
    if (well.every(Boolean)) return { server: family[0]!.url, gateway: family[1]!.url }
  }
  return undefined
}

function whereToLook(urls: Urls, io: CliIo): string {
  if (io.json) return `${JSON.stringify(urls)}\n`
  return `Modelwright is up.\n  pages and API  ${io.color.cyan(urls.server)}\n  predictions    ${io.color.cyan(urls.gateway)}\n`
}
