import { AppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { localModelParts } from './local-model.ts'

export type ConvertFlags = { output?: string; rows?: string; tolerance: string; python?: string; envManager: string }

/** `modelwright convert MODEL -o FOLDER`: the model as ONNX, once both are proved to answer alike. */
export async function convert(context: CliContext, model: string, flags: ConvertFlags): Promise<number> {
  const { io } = context
  const { convertToOnnx } = await import('../compose/convert.ts')
  const output = flags.output ?? `${model.replace(/^.*[/:@]/, '') || 'model'}-onnx`
  const { folder, conversion } = await convertToOnnx(
    {
      model,
      output,
      tolerance: toleranceOf(flags.tolerance),
      envManager: envManagerOf(flags.envManager),
      ...(flags.rows === undefined ? {} : { rows: flags.rows }),
      ...(flags.python === undefined ? {} : { python: flags.python }),
    },
    localModelParts(context),
  )
  const { rows, rowsFrom, thresholdRows, largestDifference, tolerance, ties } = conversion
  if (io.json) io.out(`${JSON.stringify({ folder, ...conversion })}\n`)
  else
    io.out(
      `${folder} answers as ${model} does: ${rows} rows of the ${rowsFrom}${thresholdRows > 0 ? `, ${thresholdRows} on thresholds of its trees` : ''}; ` +
        `the largest difference is ${largestDifference.toExponential(1)} (allowed: ${tolerance})${ties > 0 ? `, ${ties} labels of equal probabilities fell otherwise` : ''}.\n`,
    )
  return 0
}

export function toleranceOf(text: string): number {
  const tolerance = Number(text)
  if (tolerance >= 0 && tolerance <= 0.1) return tolerance
  throw new AppError('BadRequest', `--tolerance is "${text}".`, 'Say a number from 0 to 0.1, such as 1e-5.')
}

export function envManagerOf(text: string): 'local' | 'uv' | 'virtualenv' {
  if (text === 'local' || text === 'uv' || text === 'virtualenv') return text
  throw new AppError('BadRequest', `--env-manager is "${text}".`, 'There are: local, uv, virtualenv.')
}
