import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { UvEnvironments } from '../adapters/environments/uv/uv-environments.ts'
import { AppError } from '../kernel/errors.ts'
import { type Conversion, convertModel, findModel, pythonFolder, readMlmodel } from '../serving/serve/index.ts'
import { machineEnvironment } from './config.ts'
import { cacheFolder, downloadByMlflow, localPython, passedEnvironment, type ServeParts } from './serve.ts'

export type ConvertSettings = {
  /** A path, `models:/…`, `runs:/…`. */
  model: string
  output: string
  rows?: string
  tolerance: number
  python?: string
  envManager: 'local' | 'uv' | 'virtualenv'
}

export type Converted = { folder: string; name: string; version: string; conversion: Conversion }

/** Converts one model into a new folder; where it cannot, there is no folder. @throws AppError ConversionRefused */
export async function convertToOnnx(settings: ConvertSettings, parts: ServeParts): Promise<Converted> {
  const { environment, cwd, signal } = parts
  const output = resolve(cwd, settings.output)
  if (existsSync(output))
    throw new AppError('Conflict', `${output} is there already.`, 'Name a folder that is not there yet with -o.')
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-convert-'))
  // Beside its place, so that it can be moved there whole.
  const beside = mkdtempSync(join(dirname(output), '.modelwright-convert-'))
  try {
    const found = await findModel(settings.model, {
      tracking: parts.tracking,
      downloads: join(scratch, 'model'),
      cwd,
      byMlflow: async (uri, folder) =>
        downloadByMlflow(await localPython(pythonOf(settings), environment), uri, folder, environment),
    })
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

const pythonOf = ({ python }: ConvertSettings) => (python === undefined ? {} : { python })

/** The packages that the model was saved with, and the converters beside them: locked together, made once. */
async function converterPython(settings: ConvertSettings, model: string, parts: ServeParts): Promise<string> {
  const { environment, signal, say } = parts
  if (settings.python !== undefined || settings.envManager === 'local')
    return localPython(pythonOf(settings), environment)
  const own = readFileSync(join(model, 'requirements.txt'), 'utf8')
  const converters = readFileSync(join(pythonFolder(), 'converter', 'requirements.in'), 'utf8')
  const dataDir = cacheFolder(environment)
  const environments = new UvEnvironments({
    dataDir,
    passEnv: {
      ...machineEnvironment(environment),
      PATH: environment.PATH ?? '/usr/bin:/bin',
      HOME: environment.HOME ?? dataDir,
    },
    installer: settings.envManager === 'uv' ? 'uv' : 'pip',
  })
  const minor = /^\d+\.\d+/.exec(readMlmodel(model).pythonVersion ?? '')?.[0]
  say('Making a Python environment of the model’s packages and the converters (once per list of packages) …')
  const lock = await environments.resolve(
    { requirements: `${own}\n${converters}`, ...(minor ? { pythonVersion: `${minor}.*` } : {}) },
    () => undefined,
    signal,
  )
  return (await environments.ensure(lock, () => undefined, signal)).pythonPath
}
