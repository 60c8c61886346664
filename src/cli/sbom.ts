import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AppError } from '../kernel/errors.ts'
import { getBillOfMaterials } from '../provenance/provenance-contract.ts'
import type { CliContext } from './context.ts'
import { findVersion } from './find-version.ts'

export type SbomOptions = { format: string; output?: string }

/** `modelwright sbom MODEL`: what the version was made of, for tools that read bills of materials. */
export async function sbom(context: CliContext, what: string, { format, output }: SbomOptions): Promise<number> {
  if (format !== 'cyclonedx' && format !== 'spdx')
    throw new AppError('BadRequest', `"${format}" is no form of a bill of materials.`, 'Write cyclonedx or spdx.')
  const { digest } = await findVersion(context, what)
  const bill = await (await context.client())(getBillOfMaterials, { params: { digest }, query: { format } })
  await give(context, `${JSON.stringify(bill, null, 2)}\n`, output)
  return 0
}

/** To the file that was named, else to standard output. */
export async function give({ io, cwd }: CliContext, text: string, output: string | undefined): Promise<void> {
  if (output === undefined) io.out(text)
  else {
    await writeFile(resolve(cwd, output), text)
    if (io.json) io.out(`${JSON.stringify({ written: output })}\n`)
    else io.out(`Written to ${output}\n`)
  }
}
