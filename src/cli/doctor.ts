import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stepAbilities } from '../compose/adapters.ts'
import { isWell, memberFacts, membersIn } from '../compose/members.ts'
import { isAppError } from '../kernel/errors.ts'
import { formatBytes } from '../kernel/units.ts'
import { getHealth } from '../lineage/lineage-contract.ts'
import type { ShownState } from '../lineage/shown-states-contract.ts'
import type { ExecutorAbilities } from '../ports/executor.ts'
import { type CliContext, tokenPath } from './context.ts'
import { stateText } from './state-text.ts'
import { aligned } from './table.ts'
import { count } from './words.ts'

export type Finding = { what: string; level: 'ok' | 'warn' | 'fail'; text: string; next?: string }

const execute = promisify(execFile)
const scarceBytes = 5_000_000_000
const tooFewBytes = 500_000_000
const skewMs = { warn: 2_000, fail: 60_000 }

/** `modelwright doctor`: each thing ok, warn or fail, with the next move. 1 where something fails. */
export async function doctor(context: CliContext): Promise<number> {
  const { io } = context
  const findings = (await Promise.all([machine(context), folder(context), family(context), server(context)])).flat()
  const failed = findings.some(({ level }) => level === 'fail')
  if (io.json) io.out(`${JSON.stringify({ ok: !failed, findings })}\n`)
  else io.out(`${findingLines(findings, io.color).join('\n')}\n`)
  return failed ? 1 : 0
}

export function findingLines(findings: readonly Finding[], color: CliContext['io']['color']): string[] {
  const states = { ok: 'passed', warn: 'warned', fail: 'failed' } as const satisfies Record<
    Finding['level'],
    ShownState
  >
  const bad = findings.filter(({ level }) => level !== 'ok')
  return [
    ...aligned(findings.map(({ what, level, text }) => [stateText(color, states[level], level), what, text])),
    '',
    ...(bad.length === 0
      ? ['Everything is well.']
      : bad.map(({ what, next }) => `${what}: ${next ?? 'look at the log'}`)),
  ]
}

function machine(context: CliContext): Promise<Finding[]> {
  return Promise.all([
    program(context, 'git', ['--version'], { least: '2.28', level: 'fail', next: 'Install Git 2.28 or later.' }),
    program(context, 'python3', ['--version'], {
      least: '3.9',
      level: 'fail',
      next: 'Install Python 3 with its venv module; steps and models run in it.',
    }),
    uv(context),
    ...stepFindings(stepAbilities()),
  ])
}

/** What steps are held to on this machine; where it cannot be had, steps still run, and the docs say with what difference. */
function stepFindings(abilities: Promise<ExecutorAbilities>): Promise<Finding>[] {
  return [abilities.then(isolationFinding), abilities.then(memoryFinding)]
}

const isolationFinding = ({ veil }: ExecutorAbilities): Finding =>
  veil.holds
    ? { what: 'isolation', level: 'ok', text: `steps see only what they declare (${veil.means})` }
    : {
        what: 'isolation',
        level: 'warn',
        text: `a step can read the whole machine by absolute paths: ${veil.why}`,
        next: 'Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or run as root.',
      }

const memoryFinding = ({ memory }: ExecutorAbilities): Finding =>
  memory.holds === 'together'
    ? { what: 'memory limits', level: 'ok', text: `for a step as a whole (${memory.means})` }
    : {
        what: 'memory limits',
        level: 'warn',
        text: `for each process of a step alone (${memory.means})`,
        next: 'Give the server a control group of its own (systemd: Delegate=yes) for limits of a step as a whole.',
      }

async function program(
  { env }: CliContext,
  name: string,
  args: string[],
  need: { least: string; level: 'warn' | 'fail'; next: string },
): Promise<Finding> {
  const said = await execute(name, args, { env, timeout: 10_000 }).catch(() => undefined)
  const version = said && /\d+(\.\d+)+/.exec(`${said.stdout}${said.stderr}`)?.[0]
  if (!version) return { what: name, level: need.level, text: 'not found', next: need.next }
  if (compareVersions(version, need.least) < 0)
    return { what: name, level: need.level, text: `${version}; at least ${need.least} is needed`, next: need.next }
  return { what: name, level: 'ok', text: version }
}

/** Brought by Modelwright itself where it is missing; then the first environment takes longer. */
async function uv(context: CliContext): Promise<Finding> {
  const own = join(await context.dataDir(), 'tools')
  const found = await program(context, 'uv', ['--version'], { least: '0.4', level: 'warn', next: '' })
  if (found.level === 'ok' || existsSync(own))
    return { what: 'uv', level: 'ok', text: found.level === 'ok' ? found.text : 'in the data folder' }
  return { what: 'uv', level: 'ok', text: 'not on the path; the server installs its own at the first environment' }
}

/** −1, 0 or 1 as numbers of a dotted version, not as text. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number))
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

async function folder(context: CliContext): Promise<Finding[]> {
  const dataDir = await context.dataDir()
  const facts = await stat(dataDir).catch(() => undefined)
  if (!facts)
    return [
      { what: 'data folder', level: 'warn', text: `${dataDir} is not there yet`, next: '`modelwright up` makes it.' },
    ]
  return [permissions(dataDir, facts), await keyPermissions(dataDir), await space(dataDir)]
}

function permissions(dataDir: string, { mode, uid }: { mode: number; uid: number }): Finding {
  const what = 'data folder'
  if (process.getuid && uid !== process.getuid())
    return {
      what,
      level: 'warn',
      text: `${dataDir} belongs to another user`,
      next: 'Run as the user that the server runs as.',
    }
  if ((mode & 0o022) !== 0)
    return { what, level: 'fail', text: `${dataDir} may be written to by others`, next: `chmod go-w ${dataDir}` }
  return { what, level: 'ok', text: dataDir }
}

async function keyPermissions(dataDir: string): Promise<Finding> {
  const path = tokenPath(dataDir)
  const facts = await stat(path).catch(() => undefined)
  const what = "owner's token"
  if (!facts) return { what, level: 'warn', text: `${path} is not there yet`, next: '`modelwright up` makes it.' }
  if ((facts.mode & 0o077) !== 0)
    return { what, level: 'fail', text: `${path} can be read by others`, next: `chmod 600 ${path}` }
  return { what, level: 'ok', text: `${path}, for its user only` }
}

async function space(dataDir: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(dataDir)
  const free = bavail * bsize
  const what = 'disk'
  const text = `${formatBytes(free)} free`
  const next = "Free space on the data folder's disk, or move it with --data-dir."
  if (free < tooFewBytes) return { what, level: 'fail', text, next }
  return free < scarceBytes ? { what, level: 'warn', text, next } : { what, level: 'ok', text }
}

async function family(context: CliContext): Promise<Finding[]> {
  const runDir = join(await context.dataDir(), 'run')
  const further = membersIn(runDir).filter((name) => name.startsWith('gateway-') && memberFacts(runDir, name))
  return Promise.all(
    (['server', 'gateway', ...further] as const).map(async (name): Promise<Finding> => {
      const facts = memberFacts(runDir, name)
      const port = name === 'server' ? 5000 : 5001
      if (facts && (await isWell(facts))) return { what: name, level: 'ok', text: `${facts.url}, pid ${facts.pid}` }
      if (facts)
        return {
          what: name,
          level: 'fail',
          text: `${facts.url} does not answer (pid ${facts.pid})`,
          next: `Look into ${join(await context.dataDir(), 'logs', `${name}.log`)}; \`modelwright down\`, then \`modelwright up\`.`,
        }
      if (await isFree(port))
        return { what: name, level: 'warn', text: 'not running here', next: '`modelwright up` starts it.' }
      return {
        what: name,
        level: 'warn',
        text: `not running here, and another program listens on its usual port ${port}`,
        next: `\`modelwright up ${name === 'server' ? '--port' : '--gateway-port'} ${port + 100}\``,
      }
    }),
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

async function server(context: CliContext): Promise<Finding[]> {
  const what = 'server health'
  try {
    const client = await context.client()
    const asked = context.now()
    const health = await client(getHealth, {})
    const answered = context.now()
    return [
      clockFinding(health.now, asked, answered),
      parkedFinding(health.parkedEvents),
      health.audit.brokenAt === undefined
        ? { what: 'audit trail', level: 'ok', text: `${count(health.audit.entries, 'entry', 'entries')}, unbroken` }
        : {
            what: 'audit trail',
            level: 'fail',
            text: `entry ${health.audit.brokenAt} was changed, or the one before it is missing`,
            next: 'Somebody edited the database: restore it from a backup and find out who.',
          },
    ]
  } catch (error) {
    if (!isAppError(error)) throw error
    // That no server runs is told above.
    return error.code === 'ServerUnreachable' ? [] : [{ what, level: 'fail', text: error.message, next: error.next }]
  }
}

/** The server's time lies between question and answer where both clocks agree. */
export function clockFinding(serverNow: number, asked: number, answered: number): Finding {
  const off = serverNow < asked ? asked - serverNow : serverNow > answered ? serverNow - answered : 0
  const what = 'clock'
  const text = off < skewMs.warn ? "agrees with the server's" : `${(off / 1000).toFixed(1)} s away from the server's`
  const next = 'Set both clocks by NTP; times of runs, labels and schedules come from them.'
  if (off >= skewMs.fail) return { what, level: 'fail', text, next }
  return off >= skewMs.warn ? { what, level: 'warn', text, next } : { what, level: 'ok', text }
}

function parkedFinding(parked: readonly { consumer: string; error: string }[]): Finding {
  const what = 'events'
  const [first] = parked
  if (!first) return { what, level: 'ok', text: 'none is parked' }
  return {
    what,
    level: 'fail',
    text: `${count(parked.length, 'event')} could not be handled; the last by ${first.consumer}: ${first.error}`,
    next: 'This is a bug in Modelwright; please report it with the server log. What it would have led to did not happen.',
  }
}
