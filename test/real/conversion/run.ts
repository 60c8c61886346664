// Models of scikit-learn, XGBoost and LightGBM, converted to ONNX by the real converters and asked through the real mlflow.
import { join } from 'node:path'
import { environmentFor, run } from '../real-parts.ts'

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
  process.exitCode = code === 0 ? 0 : 1
}
