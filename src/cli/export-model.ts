import type { CliContext } from './context.ts'
import { envManagerOf, toleranceOf } from './convert.ts'
import { localModelParts } from './local-model.ts'

export type ExportModelFlags = {
  oci?: string
  base?: string
  rows?: string
  tolerance: string
  python?: string
  envManager: string
}

/** `modelwright export model MODEL [FOLDER]`: the model for software that knows nothing of Modelwright. */
export async function exportModelCommand(
  context: CliContext,
  model: string,
  folder: string | undefined,
  flags: ExportModelFlags,
): Promise<number> {
  const { io } = context
  const { exportModel } = await import('../compose/export-model.ts')
  const { oci, base, rows, python } = flags
  const told = await exportModel(
    {
      model,
      tolerance: toleranceOf(flags.tolerance),
      envManager: envManagerOf(flags.envManager),
      ...(folder === undefined ? {} : { folder }),
      ...(oci === undefined ? {} : { oci }),
      ...(base === undefined ? {} : { base }),
      ...(rows === undefined ? {} : { rows }),
      ...(python === undefined ? {} : { python }),
    },
    localModelParts(context),
  )
  if (io.json) io.out(`${JSON.stringify(told)}\n`)
  else {
    if (told.folder) io.out(`${told.folder} holds model.onnx, its signature, example.py and example.ts.\n`)
    if (told.oci)
      io.out(`${told.oci.path} is an image of OCI that serves ${told.name} on port 8080 (${told.oci.digest}).\n`)
  }
  return 0
}
