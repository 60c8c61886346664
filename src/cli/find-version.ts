import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { listVersions } from '../lineage/lineage-contract.ts'
import { getModel } from '../registry/registry-contract.ts'
import type { CliContext } from './context.ts'

export type VersionItem = OutputOf<typeof listVersions>['items'][number]

/**
 * The judged version that a person means: `MODEL@3`, `MODEL/3`, `MODEL@production` (where it serves, or MLflow's alias), a digest,
 * or `MODEL` alone: what serves in production, else its newest.
 */
export async function findVersion(context: CliContext, what: string): Promise<VersionItem> {
  const project = await context.project()
  const client = await context.client()
  const { model, mark } = parts(what)
  const named = what.startsWith('sha256:') ? {} : { model }
  const { items } = await client(listVersions, { params: { project }, query: { ...named, limit: 1000 } })
  const found = what.startsWith('sha256:')
    ? items.find(({ digest }) => digest === what || (what.length >= 19 && digest.startsWith(what)))
    : await marked(context, items, model, mark)
  if (found) return found
  const known = [...new Set(items.map((one) => `${one.model}@${one.version}`))].slice(0, 5)
  throw new AppError(
    'NotFound',
    `${project} has no judged version "${what}"${known.length > 0 ? `; there are: ${known.join(', ')}` : ''}.`,
    '`modelwright versions` lists them.',
  )
}

function parts(what: string): { model: string; mark: string | undefined } {
  const match = /^(.+?)(?:@|\/v?(?=\d+$))([^@/]+)$/.exec(what)
  return match ? { model: match[1]!, mark: match[2]! } : { model: what, mark: undefined }
}

async function marked(
  context: CliContext,
  items: readonly VersionItem[],
  model: string,
  mark: string | undefined,
): Promise<VersionItem | undefined> {
  const serving = (environment: string) =>
    items.find(({ serves }) => serves.some((one) => one.environment === environment))
  if (mark === undefined) return serving('production') ?? items[0]
  const number = /^v?(\d+)$/.exec(mark)
  if (number) return items.find(({ version }) => version === Number(number[1]))
  if (mark === 'latest') return items[0]
  const served = serving(mark)
  if (served) return served
  const { aliases } = await (await context.client())(getModel, { params: { model } })
  const alias = aliases.find((one) => one.alias === mark)
  return alias && items.find(({ version }) => version === alias.version)
}
