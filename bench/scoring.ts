import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, median } from './support/bench.ts'

const here = dirname(fileURLToPath(import.meta.url))
const rowCount = 200_000

/**
 * Rows per second of processor time of `modelwright score` and of `mlflow models predict`: the same model, the same CSV file, each
 * process whole, with its start. MODELWRIGHT_TEST_PYTHON has mlflow and scikit-learn, MODELWRIGHT_CONVERTER_PYTHON the converters as well
 * (else an environment is made for the conversion, which is not measured).
 */
export const bench: Bench = async ({ runs, say }) => {
  const python = process.env.MODELWRIGHT_TEST_PYTHON
  if (!python) throw new Error('MODELWRIGHT_TEST_PYTHON names no interpreter with mlflow and scikit-learn.')
  const folder = mkdtempSync(join(tmpdir(), 'mw-bench-scoring-'))
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', join(here, '..', 'src', 'main.ts')]
  const converter = process.env.MODELWRIGHT_CONVERTER_PYTHON
  try {
    say('making the model and its rows')
    cpuOf(python, folder, [converter ?? python, '-W', 'ignore', join(here, 'scoring', 'make_model.py'), folder])
    cpuOf(python, folder, [
      ...program,
      'convert',
      './model',
      '-o',
      'converted',
      ...(converter ? ['--python', converter] : []),
    ])
    const mlflow = join(dirname(python), 'mlflow')
    const ours: number[] = []
    const theirs: number[] = []
    for (let run = 1; run <= runs; run++) {
      say(`run ${run} of ${runs}`)
      ours.push(rowCount / cpuOf(python, folder, [...program, 'score', './converted', 'rows.csv', 'out.csv']))
      const predict = [
        'models',
        'predict',
        '-m',
        'model',
        '-i',
        'rows.csv',
        '-o',
        'out.json',
        '-t',
        'csv',
        '--env-manager',
        'local',
      ]
      theirs.push(rowCount / cpuOf(python, folder, [mlflow, ...predict]))
      compare(folder)
    }
    const [us, them] = [median(ours), median(theirs)]
    return [
      { what: 'modelwright score, rows per CPU second', value: us, unit: '/s' },
      { what: 'mlflow models predict, rows per CPU second', value: them, unit: '/s' },
      { what: 'ratio', value: us / them, unit: '×', aim: '≥ 5' },
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Processor time in seconds of a process and all that it waited for. */
function cpuOf(python: string, cwd: string, words: readonly string[]): number {
  const code =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); u = resource.getrusage(resource.RUSAGE_CHILDREN); print(u.ru_utime + u.ru_stime)'
  const env = { ...process.env, MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet' }
  const { status, stdout, stderr } = spawnSync(python, ['-c', code, ...words], { cwd, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr.slice(-2_000)}`)
  return Number(stdout)
}

/** A fast wrong answer counts for nothing. */
function compare(folder: string): void {
  if (!existsSync(join(folder, 'out.json'))) throw new Error('mlflow wrote no answers')
  const { predictions } = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8')) as { predictions: number[] }
  const lines = readFileSync(join(folder, 'out.csv'), 'utf8').trim().split('\n').slice(1)
  const wrong = lines.findIndex((line, index) => Number(line.split(',')[1]) !== predictions[index])
  if (lines.length !== predictions.length || wrong >= 0) throw new Error(`the answers differ, first in row ${wrong}`)
}
