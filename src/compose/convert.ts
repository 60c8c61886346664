import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { AppError } from '../kernel/errors.ts'
import { type Conversion, converterRequirements, convertModel, readMlmodel } from '../serving/serve/index.ts'
import {
  environmentOf,
  findLocalModel,
  type LocalModelParts,
  localPython,
  type PythonSettings,
  passedEnvironment,
} from './local-model.ts'

export type ConvertSettings = PythonSettings & {
  /** A path, `models:/…`, `runs:/…`. */
  model: string
  output: string
  rows?: string
  tolerance: number
}

export type Converted = { folder: string; name: string; version: string; conversion: Conversion }

/** Converts one model into a new folder; where it cannot, there is no folder. @throws AppError ConversionRefused */
export async function convertToOnnx(settings: ConvertSettings, parts: LocalModelParts): Promise<Converted> {
  const { environment, cwd, signal } = parts
  const output = resolve(cwd, settings.output)
  if (existsSync(output))
    throw new AppError('Conflict', `${output} is there already.`, 'Name a folder that is not there yet with -o.')
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-convert-'))
  // Beside its place, so that it can be moved there whole.
  const beside = mkdtempSync(join(dirname(output), '.modelwright-convert-'))
  try {
    const found = await findLocalModel(settings.model, join(scratch, 'model'), settings, parts)
    if (readMlmodel(found.folder).onnxFile)
      throw new AppError('ConversionRefused', `${settings.model} is of ONNX already.`, 'Serve it as it is.')
    const conversion = await convertModel(
      {
        model: found.folder,
        output: join(beside, 'model'),
        tolerance: settings.tolerance,
        ...(settings.rows === undefined ? {} : { rows: resolve(cwd, settings.rows) }),
      },
      {
        pythonPath: await converterPython(settings, found.folder, parts),
        env: passedEnvironment({ passEnv: [] }, environment),
        scratch,
        signal,
      },
    )
    renameSync(join(beside, 'model'), output)
    return { folder: output, name: found.name, version: found.version, conversion }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
    rmSync(beside, { recursive: true, force: true })
  }
}

/** The packages that the model was saved with, and the converters beside them. */
async function converterPython(settings: ConvertSettings, model: string, parts: LocalModelParts): Promise<string> {
  const { python, envManager } = settings
  if (python !== undefined || envManager === 'local') return localPython(settings, parts.environment)
  parts.say('Making a Python environment of the model’s packages and the converters (once per list of packages) …')
  return environmentOf(model, converterRequirements(), envManager, parts)
}
