import { join } from 'node:path'
import { createContext, ownerToken } from '../cli/context.ts'
import { init } from '../cli/init.ts'
import type { CliIo } from '../cli/io.ts'
import { why } from '../cli/why.ts'
import { createPorts } from '../compose/adapters.ts'
import type { Config, SettingName } from '../compose/config.ts'
import { createClient } from '../kernel/client.ts'
import { AppError } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import { type Family, startFamily } from './demo-family.ts'
import { endSteps } from './end-steps.ts'
import { writeExampleData } from './example-data.ts'
import { ExampleRepository } from './example-repository.ts'
import { narrator } from './narrator.ts'
import { readProductionRows } from './production-rows.ts'
import { readRecords } from './records.ts'
import { stages } from './stages.ts'
import { type Demo, environment, project } from './story.ts'
import { type Check, storyChecks } from './story-checks.ts'

export type DemoOptions = {
  config: Config
  /** The same settings as they were given, handed on to server and gateway. */
  flags: Partial<Record<SettingName, unknown>>
  /** The program that server, gateway and Git's credential helper are started from. */
  program: string
  /** How a person starts Modelwright in a shell. */
  command: string
  /** End when all is shown and checked, instead of staying up. */
  once: boolean
  io: CliIo
  signal: AbortSignal
  untilTold: () => Promise<void>
}

type Timing = { title: string; ms: number; note: string }

/**
 * The whole loop on real data, told as it happens; each stage counts only where the server's records say so. What they say has
 * happened already is not done again, so an interrupted demo goes on and a finished one is shown at once.
 * @throws DemoFailed naming the stage, the reason and where to look
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { config, io, once } = options
  const narrate = narrator(io)
  const ports = createPorts(config)
  const timings: Timing[] = []
  narrate.title(`Modelwright: the whole loop, on real data (kept in ${config.dataDir})`)
  const family = await timed(ports.clock, timings, 'Start server and gateway', () =>
    startFamily({ ...options, say: narrate.bad }),
  )
  try {
    narrate.good(`pages and API ${family.server}, predictions ${family.gateway}`)
    const demo = await timed(ports.clock, timings, 'Make the demo repository', () => prepare(options, family, ports))
    for (const [index, { name, stage }] of stages.entries()) {
      narrate.title(`${index + 1} of ${stages.length}  ${stage.title}`)
      await timed(ports.clock, timings, stage.title, async () => {
        if (name !== 'why' && allHold(await checksOf(demo, name))) {
          narrate.good('this happened at an earlier start; its records are intact')
          return 'kept from an earlier start'
        }
        narrate.text(stage.about)
        await stage.perform(demo)
        return undefined
      })
    }
    await verify(demo, narrate)
    tellTimings(timings, io)
    if (once) return 0
    whereToLook(demo, options)
    await options.untilTold()
    return 0
  } finally {
    await family.stop()
    if (family.ours) await endSteps(config.workDir, ports.executor)
    if (!once) narrate.text('Server and gateway are down; everything is kept for the next start.')
    await ports.repositories.close()
  }
}

async function prepare(
  { config, io, signal, program }: DemoOptions,
  family: Family,
  { environments, clock }: { environments: Parameters<typeof writeExampleData>[0]['environments']; clock: Clock },
): Promise<Demo> {
  const narrate = narrator(io)
  const folder = join(config.dataDir, 'demo')
  const production = join(folder, 'production')
  const repository = new ExampleRepository(join(folder, project), config.environment)
  const isNew = !(await repository.exists())
  if (isNew) await repository.create()
  await writeExampleData({ environments, repository: repository.folder, production, signal, narrate })
  const token = ownerToken(config.dataDir)
  const client = createClient({ baseUrl: family.server, ...(token ? { token } : {}) })
  if (isNew) narrate.command('modelwright init')
  const connected = await init(
    {
      cwd: repository.folder,
      env: config.environment,
      server: family.server,
      client,
      dataDir: config.dataDir,
      nodePath: process.execPath,
      binPath: program,
    },
    { ...io, json: false, out: isNew ? quoted(narrate.quote) : () => {} },
  )
  if (connected !== 0)
    throw new AppError('DemoFailed', 'The demo repository could not be connected.', `Look into ${config.dataDir}/logs.`)
  const context = createContext({
    io: { ...io, json: false },
    env: config.environment,
    cwd: repository.folder,
    options: { dataDir: config.dataDir, server: family.server, project },
  })
  return {
    client,
    server: family.server,
    gateway: family.gateway,
    repository,
    rows: await readProductionRows(production),
    clock,
    signal,
    narrate,
    logs: join(config.dataDir, 'logs'),
    whyProduction: async () => {
      await why(context, environment)
    },
  }
}

const quoted = (quote: (line: string) => void) => (text: string) => {
  for (const line of text.split('\n')) if (line.trim() !== '') quote(line)
}

async function checksOf(demo: Demo, name: (typeof stages)[number]['name']): Promise<Check[]> {
  return storyChecks(name, await readRecords(demo.client), demo.rows.coarse.length)
}

const allHold = (checks: readonly Check[]): boolean => checks.every(({ ok }) => ok)

/** Each stage once more, by the server's records alone. */
async function verify(demo: Demo, { title, text, good, bad }: Demo['narrate']): Promise<void> {
  title("Checked against the server's records")
  const records = await readRecords(demo.client)
  let broken = 0
  for (const { name, stage } of stages) {
    text(stage.title)
    for (const { what, ok, found } of storyChecks(name, records, demo.rows.coarse.length)) {
      if (ok) good(`${what} (${found})`)
      else bad(`${what}: found ${found}`)
      if (!ok) broken++
    }
  }
  if (broken > 0)
    throw new AppError(
      'DemoFailed',
      `${broken} of the facts above are not in the server's records.`,
      `Look into ${demo.logs}, or start anew with another --data folder.`,
    )
}

async function timed<T>(clock: Clock, timings: Timing[], title: string, work: () => Promise<T>): Promise<T> {
  const from = clock.now()
  const result = await work()
  timings.push({ title, ms: clock.now() - from, note: typeof result === 'string' ? result : '' })
  return result
}

function tellTimings(timings: readonly Timing[], { out, color }: CliIo): void {
  out(`\n${color.bold('What took how long')}\n`)
  for (const { title, ms, note } of timings) out(`  ${seconds(ms)}  ${title}${note ? color.dim(`  (${note})`) : ''}\n`)
  out(`  ${seconds(timings.reduce((sum, { ms }) => sum + ms, 0))}  ${color.bold('in all')}\n`)
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(6)} s`

function whereToLook({ server, gateway, repository }: Demo, { io, config, command }: DemoOptions): void {
  const { out, color } = io
  const { dataDir } = config
  const line = (text = '') => out(`${text}\n`)
  line(`\n${color.bold('Where to look')}`)
  line(`  the project         ${color.cyan(`${server}/`)}`)
  line(`  its predictions     ${color.cyan(`${gateway}/endpoints/${project}/${environment}/invocations`)}`)
  line(`  the repository      ${repository.folder}`)
  line(`  everything kept     ${dataDir}`)
  line(`\n${color.bold('The same with your own repository')}  (while this stays up)`)
  line(`  ${color.cyan(`alias modelwright="node ${command}"`)}`)
  line(`  ${color.cyan('cd YOUR-REPOSITORY')}`)
  line(
    `  ${color.cyan(`modelwright init --data-dir ${dataDir}`)}   writes modelwright.yaml for what it finds, and connects`,
  )
  line(`  ${color.cyan('git add modelwright.yaml && git commit -m "Add modelwright.yaml"')}`)
  line(`  ${color.cyan('git push modelwright main')}`)
  line(`\n  Ctrl-C ends server and gateway; a second start finds everything as it is.`)
}
