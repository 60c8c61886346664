// Models of scikit-learn, XGBoost and LightGBM, converted to ONNX by the real converters and asked through the real mlflow.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportFolder } from '../../../src/serving/serve/index.ts'
import { environmentFor, run } from '../real-parts.ts'
import { checkDeployed } from './deployed-checks.ts'
import { checkDoors } from './door-checks.ts'
import { checkSwitch } from './switch-checks.ts'

const here = import.meta.dirname
const required = (process.env.REQUIRE ?? '').split(',').includes('conversion')
const python = await environmentFor(join(here, 'requirements.txt'))
if ('reason' in python) {
  console.log(`conversion: ${required ? 'failed' : 'skipped'}: ${python.reason}`)
  process.exitCode = required ? 1 : 0
} else {
  const converter = join(here, '..', '..', '..', 'python', 'converter')
  const quiet = { MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet' }
  const { code, output, errors } = await run(
    python.path,
    ['-W', 'ignore', join(here, 'conversion_checks.py'), converter],
    quiet,
  )
  console.log(output)
  if (code !== 0) console.log(errors.slice(-5_000))
  const failed =
    (code === 0 ? 0 : 1) +
    ((await exampleRuns(python.path)) ? 0 : 1) +
    (await servedAlike(python.path)) +
    (await checkDeployed())
  process.exitCode = failed === 0 ? 0 : 1
}

/** How many checks failed of models that are served by Python and as ONNX. */
async function servedAlike(path: string): Promise<number> {
  const models = mkdtempSync(join(tmpdir(), 'modelwright-served-'))
  try {
    const { code, errors } = await run(path, ['-W', 'ignore', join(here, 'make_served.py'), models])
    if (code !== 0) throw new Error(errors.slice(-3_000))
    return (await checkDoors(path, models)) + (await checkSwitch(path, models))
  } finally {
    rmSync(models, { recursive: true, force: true })
  }
}

/** The example in Python of an exported model runs as it stands, and answers as scikit-learn did. */
async function exampleRuns(path: string): Promise<boolean> {
  const fixture = join(here, '..', '..', 'fixtures', 'converted')
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-conversion-'))
  try {
    await exportFolder(join(fixture, 'model'), join(folder, 'model'))
    const { output, errors } = await run(path, [join(folder, 'model', 'example.py')])
    const { labels } = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as { labels: string[] }
    const isRight = output.includes(`output-0 ["${labels[0]}"]`)
    console.log(`${isRight ? 'ok     ' : 'FAILED '} exported-example ${isRight ? '' : output + errors}`)
    return isRight
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
