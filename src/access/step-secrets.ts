import { type Db, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { appendAudit } from './audit.ts'
import type { SecretBox } from './secrets.ts'

type Parts = {
  db: Db
  clock: Clock
  box: SecretBox
  /** The server's own environment: a secret may come from there. */
  variable: (name: string) => string | undefined
}

/** What may be told of a secret: never its value. */
export type SecretEntry = { project?: string; name: string; setBy: string; setAt: EpochMs }

/** Fewer characters stand in every log by chance: they could not be masked. */
const fewest = 4
const most = 64_000
const serverVariable = (name: string): string => `MODELWRIGHT_SECRET_${name}`

/**
 * Secrets that steps ask for by name, sealed in the database. A project's own comes before the server's, that before the server's
 * variable `MODELWRIGHT_SECRET_<NAME>`.
 */
export class StepSecrets {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async set(actor: Actor, { project, name, value }: { project?: string; name: string; value: string }): Promise<void> {
    if (value.length < fewest || value.length > most || value.includes('\0'))
      throw new AppError(
        'BadRequest',
        `The value of "${name}" has ${value.length} characters${value.includes('\0') ? ', one of them U+0000' : ''}.`,
        `A secret has ${fewest} to ${most} characters: shorter ones could not be masked in logs.`,
      )
    const { db, clock, box } = this.#parts
    const row = { sealed: box.seal(value, purposeOf(project, name)), set_by: actor.name, set_at: clock.now() }
    await transact(db, async (tx) => {
      await tx
        .insertInto('step_secrets')
        .values({ project: project ?? '', name, ...row })
        .onConflict((c) => c.columns(['project', 'name']).doUpdateSet(row))
        .execute()
      await appendAudit(tx, this.#entry(actor, 'secret.set', project, name))
    })
  }

  async remove(actor: Actor, { project, name }: { project?: string; name: string }): Promise<void> {
    await transact(this.#parts.db, async (tx) => {
      const { numDeletedRows } = await tx
        .deleteFrom('step_secrets')
        .where('project', '=', project ?? '')
        .where('name', '=', name)
        .executeTakeFirst()
      if (numDeletedRows === 0n)
        throw new AppError(
          'NotFound',
          `There is no secret "${name}" ${project ? `of project "${project}"` : 'of the whole server'}.`,
          '`modelwright secrets` lists those that are set.',
        )
      await appendAudit(tx, this.#entry(actor, 'secret.removed', project, name))
    })
  }

  /** In order of project and name. */
  async list(page: { limit: number; after?: { project: string; name: string } }): Promise<SecretEntry[]> {
    let query = this.#parts.db.selectFrom('step_secrets').select(['project', 'name', 'set_by', 'set_at'])
    const { after } = page
    if (after)
      query = query.where((e) =>
        e.or([e('project', '>', after.project), e.and([e('project', '=', after.project), e('name', '>', after.name)])]),
      )
    const rows = await query.orderBy('project').orderBy('name').limit(page.limit).execute()
    return rows.map(({ project, name, set_by, set_at }) => ({
      ...(project ? { project } : {}),
      name,
      setBy: set_by,
      setAt: set_at,
    }))
  }

  /** The values that a step asks for. @throws AppError SecretMissing naming the first that is not set. */
  async valuesFor(project: string, names: readonly string[], step: string): Promise<Record<string, string>> {
    if (names.length === 0) return {}
    const rows = await this.#parts.db
      .selectFrom('step_secrets')
      .select(['project', 'name', 'sealed'])
      .where('project', 'in', [project, ''])
      .where('name', 'in', [...names])
      .execute()
    return Object.fromEntries(
      names.map((name) => {
        const row =
          rows.find((one) => one.name === name && one.project === project) ?? rows.find((one) => one.name === name)
        const value = row
          ? this.#parts.box.open(row.sealed, purposeOf(row.project, name))
          : this.#parts.variable(serverVariable(name))
        if (value === undefined || value === '') throw missing(project, name, step)
        return [name, value]
      }),
    )
  }

  #entry(actor: Actor, action: string, project: string | undefined, name: string) {
    return {
      at: this.#parts.clock.now(),
      actor: actor.name,
      action,
      subject: name,
      details: { project: project ?? null },
    }
  }
}

/** A row that was moved to another name or project does not open. */
const purposeOf = (project: string | undefined, name: string): string => `step secret ${project ?? ''} ${name}`

const missing = (project: string, name: string, step: string): AppError =>
  new AppError(
    'SecretMissing',
    `Step "${step}" asks for the secret "${name}", which is set neither for project "${project}" nor for the server.`,
    `modelwright secrets set ${name} --project ${project}; or start the server with ${serverVariable(name)}.`,
  )
