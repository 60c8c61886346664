import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askOnce, closedLoop, openLoop, type Request } from './serving/load.ts'
import { programsOf } from './serving/python-environments.ts'
import { loadAverage, type Server, started, type Target, targets } from './serving/targets.ts'
import { type Bench, median, type Row } from './support/bench.ts'
import { cpuOfTree, remove, root } from './support/family.ts'

const here = dirname(fileURLToPath(import.meta.url))
const clients = 8
/** Code that is compiled while it runs is not measured before it is. */
const warm = { clients, ms: 1_500, atLeast: { requests: 3_000, withinMs: 8_000 } }
const measureMs = Number(process.env.MEASURE_MS ?? 4_000)

/** Of one server with requests of one size. */
type Figures = { cpuUs: number; throughput: number; p50: number; p99: number; halfP50: number; halfP99: number }

/**
 * The same gradient boosting and the same classifier of iris behind each server, one at a time in turn, asked by the same client from the
 * same machine: eight clients in a closed loop, then an open loop at half of what that gave. Processor time is that of the server's whole
 * process tree. ONLY=… measures the servers whose name has that in it.
 */
export const bench: Bench = async ({ runs, say }) => {
  const folder = mkdtempSync(join(tmpdir(), 'mw-bench-serving-'))
  try {
    makeModels(folder, say)
    const found = new Map<string, Figures[]>()
    const chosen = targets(folder, say).filter(({ name }) => name.includes(process.env.ONLY ?? ''))
    for (let round = 1; round <= runs; round++)
      for (const target of chosen) {
        say(`round ${round} of ${runs}: ${target.model}, ${target.name} (load of the machine ${loadAverage()})`)
        for (const [rows, figures] of await measuredOrSaid(target, say)) {
          const key = keyOf(target, rows)
          found.set(key, [...(found.get(key) ?? []), figures])
          say(`  ${rows} ${rows === 1 ? 'row' : 'rows'}: ${JSON.stringify(rounded(figures))}`)
        }
      }
    return rowsOf(new Map([...found].map(([key, all]) => [key, medians(all)])))
  } finally {
    remove(folder)
  }
}

const keyOf = ({ model, name }: Pick<Target, 'model' | 'name'>, rows: number): string =>
  `${model}, ${rows} ${rows === 1 ? 'row' : 'rows'} · ${name}`

function makeModels(folder: string, say: (line: string) => void): void {
  const programs = programsOf('python', say)
  if (!programs) throw new Error('Without the Python environment there is no model to serve.')
  const python = join(programs, 'python')
  say('making the models')
  const run = (...words: string[]) => {
    const [program = '', ...rest] = words
    const { status, stderr } = spawnSync(program, rest, { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr.slice(-2_000)}`)
  }
  run(python, '-W', 'ignore', join(here, 'serving', 'make_models.py'), folder)
  const main = [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts')]
  run(...main, 'convert', './boosting', '-o', 'converted', '--python', python)
}

/** A peer that cannot be started is left out of the round, and that is said; ours must start. */
async function measuredOrSaid(target: Target, say: (line: string) => void): Promise<Map<number, Figures>> {
  try {
    return await measured(target)
  } catch (error) {
    if (target.name.startsWith('ours')) throw error
    say(`${target.name} was not measured: ${String(error).slice(-500)}`)
    return new Map()
  }
}

async function measured(target: Target): Promise<Map<number, Figures>> {
  const server = await started(target)
  try {
    const figures = new Map<number, Figures>()
    for (const rows of target.model === 'boosting' ? [1, 64] : [1])
      figures.set(rows, await figuresOf(server, requestOf(target, rows)))
    return figures
  } finally {
    await server.end()
  }
}

async function figuresOf({ url, pid }: Server, request: Request): Promise<Figures> {
  check(await askOnce(url, request), request)
  await closedLoop(url, request, warm)
  const before = cpuOfTree(pid)
  const closed = await closedLoop(url, request, { clients, ms: measureMs })
  const cpuUs = ((cpuOfTree(pid) - before) * 1000) / closed.requests
  const half = await openLoop(url, request, { rate: closed.throughput / 2, ms: measureMs })
  return {
    cpuUs,
    throughput: closed.throughput,
    p50: closed.p50,
    p99: closed.p99,
    halfP50: half.p50,
    halfP99: half.p99,
  }
}

/** Rows that are the same in every protocol. */
function requestOf({ model, protocol, path }: Target, rows: number): Request {
  const width = model === 'boosting' ? 30 : 4
  const data = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: width }, (_, column) => Math.round(Math.sin(row * width + column + 1) * 1e6) / 1e6),
  )
  const body =
    protocol === 'mlflow'
      ? { inputs: data }
      : { inputs: [{ name: 'input-0', shape: [rows, width], datatype: 'FP64', data: data.flat() }] }
  return { path, body: JSON.stringify(body) }
}

const answers = new Map<string, string>()

/** A fast wrong answer counts for nothing: all servers must answer the same. */
function check(body: string, request: Request): void {
  const answer = JSON.parse(body) as { predictions?: unknown[]; outputs?: { data: unknown[] }[] }
  const labels = JSON.stringify((answer.predictions ?? answer.outputs?.[0]?.data ?? []).map(Number))
  // By what is asked about, whichever form it is asked in.
  const rows = String(JSON.stringify((JSON.parse(request.body) as { inputs: unknown }).inputs).match(/-?\d+\.\d{3,}/g))
  const others = answers.get(rows) ?? labels
  answers.set(rows, others)
  if (labels !== others)
    throw new Error(`another answer than the others': ${labels.slice(0, 200)} for ${others.slice(0, 200)}`)
}

const medians = (all: readonly Figures[]): Figures => {
  const of = (name: keyof Figures) => median(all.map((one) => one[name]))
  return {
    cpuUs: of('cpuUs'),
    throughput: of('throughput'),
    p50: of('p50'),
    p99: of('p99'),
    halfP50: of('halfP50'),
    halfP99: of('halfP99'),
  }
}

const rounded = (figures: Figures) =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(value * 100) / 100]))

const units: Record<keyof Figures, [what: string, unit: string]> = {
  cpuUs: ['CPU per request', 'µs'],
  throughput: ['throughput', '/s'],
  p50: ['p50', 'ms'],
  p99: ['p99', 'ms'],
  halfP50: ['p50 at half load', 'ms'],
  halfP99: ['p99 at half load', 'ms'],
}

/** Ratios of processor time: theirs over ours. */
const ratios: { model: Target['model']; rows: number; ours: string; theirs: string; aim: string }[] = [
  ...[1, 64].flatMap((rows) => [
    ...['MLServer, scikit-learn', 'mlflow models serve', 'FastAPI, scikit-learn'].map((theirs) => ({
      model: 'boosting' as const,
      rows,
      ours: 'ours, gateway, ONNX, log on',
      theirs,
      aim: rows === 1 ? '≥ 4' : '≥ 3',
    })),
    {
      model: 'boosting',
      rows,
      ours: 'ours, gateway, ONNX, log on',
      theirs: 'FastAPI, ONNX',
      aim: rows === 1 ? '≥ 2' : '',
    } as const,
  ]),
  { model: 'iris', rows: 1, ours: 'ours, serve, Python', theirs: 'MLServer, MLflow', aim: '≥ 1' },
  { model: 'iris', rows: 1, ours: 'ours, serve, Python', theirs: 'mlflow models serve', aim: '' },
]

function rowsOf(found: ReadonlyMap<string, Figures>): Row[] {
  const figures = [...found].flatMap(([key, all]) =>
    (Object.keys(units) as (keyof Figures)[]).map((name) => ({
      what: `${key} · ${units[name][0]}`,
      value: all[name],
      unit: units[name][1],
    })),
  )
  const compared = ratios.flatMap(({ model, rows, ours, theirs, aim }): Row[] => {
    const [us, them] = [found.get(keyOf({ model, name: ours }, rows)), found.get(keyOf({ model, name: theirs }, rows))]
    if (!us || !them) return []
    const what = `${model}, ${rows} ${rows === 1 ? 'row' : 'rows'} · CPU of ${theirs} / ${ours}`
    return [{ what, value: them.cpuUs / us.cpuUs, unit: '×', ...(aim ? { aim } : {}) }]
  })
  const bare = found.get(keyOf({ model: 'boosting', name: 'bare node:http and ONNX Runtime' }, 1))
  const own = ['ours, gateway, ONNX, log on', 'ours, serve, ONNX'].flatMap((name): Row[] => {
    const ours = found.get(keyOf({ model: 'boosting', name }, 1))
    if (!bare || !ours) return []
    return [
      {
        what: `boosting, 1 row · ${name}, beyond the bare server`,
        value: ours.cpuUs - bare.cpuUs,
        unit: 'µs',
        aim: '≤ 60',
      },
    ]
  })
  return [...figures, ...compared, ...own]
}
