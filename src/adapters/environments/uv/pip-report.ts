import { z } from 'zod'
import { AppError } from '../../../kernel/errors.ts'

/** The parts used of pip's installation report (pip documentation, "Installation Report", version 1). */
const reportSchema = z.object({
  install: z.array(
    z.object({
      metadata: z.object({ name: z.string(), version: z.string() }),
      download_info: z.object({ archive_info: z.object({ hashes: z.record(z.string(), z.string()) }).optional() }),
    }),
  ),
})

/** What `pip install --dry-run --report` would install, as exact requirements with the hash of the file that it chose. */
export function lockFromPipReport(report: string): string {
  return reportSchema
    .parse(JSON.parse(report))
    .install.map(({ metadata, download_info }) => {
      const hash = download_info.archive_info?.hashes.sha256
      if (hash === undefined)
        throw new AppError(
          'NotYetSupported',
          `${metadata.name} comes from a folder or a repository, which has no hash to lock.`,
          'Require a released package.',
        )
      return `${metadata.name.toLowerCase().replace(/[-_.]+/g, '-')}==${metadata.version} \\\n    --hash=sha256:${hash}`
    })
    .sort()
    .map((line) => `${line}\n`)
    .join('')
}
