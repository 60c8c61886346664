import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudit } from '../access/index.ts'
import { publish, transact } from '../db/index.ts'
import type { ExecutionId } from '../kernel/ids.ts'
import { anonymous } from '../kernel/route.ts'
import type { Repositories } from '../ports/repository.ts'
import {
  member,
  model,
  owner,
  type PromotionBench,
  project,
  projectText,
  promotionBench,
} from './testing/promotion-bench.ts'

const automatic = '{ production: automatic }'
const pullRequest = '{ production: pull-request }'

describe('promotions', () => {
  let bench: PromotionBench
  const begin = async (promote: string) => {
    await bench.push(projectText(promote))
    await bench.deliver()
  }
  const judged = async (execution: string, wish = {}) => {
    await bench.judge(execution, wish)
    await bench.deliver()
  }
  beforeEach(async () => {
    bench = await promotionBench()
  })
  afterEach(async () => {
    expect(bench.failures).toEqual([])
    await bench.close()
  })

  it('commits a passed version straight to the branch where the file says automatic, keeping every comment', async () => {
    await begin(automatic)
    await judged('e1')
    const [promotion] = await bench.all()
    expect(promotion).toMatchObject({ state: 'committed', version: 1, environment: 'production' })
    expect(await bench.declared()).toMatchObject({ version: 1, digest: promotion!.digest })
    expect(await bench.text()).toContain('# what patients meet')
    expect(await bench.text()).toContain('# ours')
    const head = (await bench.git.log(project, (await bench.git.head(project, 'main'))!, { limit: 1 }))[0]!
    expect(head.author).toContain('Modelwright')
    expect(head.message).toContain(`Modelwright-Promotion: ${promotion!.id}`)
    const audit = await bench.db.selectFrom('audit').selectAll().where('action', '=', 'promotion.commit').execute()
    expect(audit).toMatchObject([{ actor: 'Modelwright', subject: promotion!.id }])
    expect(head.message).toContain('Modelwright-Execution: e1')
    expect(head.message).toContain('Modelwright-Verdict: verdict-e1 pass')
  })

  it('stores the manifest under the digest that Git names, with where the version comes from', async () => {
    await begin(automatic)
    await judged('e1')
    const { digest } = (await bench.declared())!
    expect(await bench.promotions.manifestOf(digest!)).toMatchObject({
      schema: 'modelwright/model-version/1',
      execution: 'e1',
      verdict: { id: 'verdict-e1', outcome: 'pass' },
      params: { train: { depth: 3 } },
      seed: 7,
    })
  })

  it('stores each decision with its inputs, rule version and reasons', async () => {
    await begin(automatic)
    await judged('e1')
    const [record] = await bench.db.selectFrom('promotion_decisions').selectAll().execute()
    expect(record).toMatchObject({ outcome: 'commit to branch', rule_version: 'promote/1', verdict_id: 'verdict-e1' })
    expect(JSON.parse(record!.inputs)).toMatchObject({ verdict: 'pass', candidate: { version: 1 } })
    expect(JSON.parse(record!.reasons).length).toBeGreaterThan(0)
  })

  it('does nothing more when the same verdict is told again', async () => {
    await begin(automatic)
    await judged('e1')
    const before = await bench.messages()
    const payload = { project, executionId: 'e1' as ExecutionId, model, verdictId: 'verdict-e1', outcome: 'pass' }
    await transact(bench.db, (tx) => publish(tx, { type: 'gate.judged', payload }, 1))
    await bench.deliver()
    expect(await bench.messages()).toEqual(before)
    expect(await bench.all()).toHaveLength(1)
    expect(await bench.registered()).toHaveLength(1)
  })

  it('makes no second version of equal content, and no commit where that content is declared already', async () => {
    await begin(automatic)
    await judged('e1', { content: 'same' })
    const before = await bench.messages()
    await judged('e2', { content: 'same' })
    expect(await bench.registered()).toHaveLength(1)
    expect(await bench.messages()).toEqual(before)
  })

  it('promotes nothing that a snapshot made, and makes no version of it', async () => {
    await begin(automatic)
    const standing = { deployable: false, snapshot: true, reason: 'made by modelwright run' }
    await judged('e1', { standing })
    expect(await bench.registered()).toHaveLength(0)
    expect(await bench.all()).toHaveLength(0)
  })

  it.each(['fail'] as const)('promotes nothing after %s', async (outcome) => {
    await begin(automatic)
    await judged('e1', { outcome })
    expect(await bench.all()).toHaveLength(0)
    expect((await bench.declared())!.digest).toBeUndefined()
  })

  it('asks a person after a warning, even where promotion is automatic', async () => {
    await begin(automatic)
    await judged('e1', { outcome: 'warn' })
    expect((await bench.all())[0]).toMatchObject({
      state: 'proposed',
      proposalBranch: 'modelwright/promote-production-1',
    })
    expect((await bench.declared())!.digest).toBeUndefined()
    expect(await bench.branches()).toContain('modelwright/promote-production-1')
  })

  it('does not clear an inconclusive version until a person approved it', async () => {
    await begin(automatic)
    await judged('e1', { outcome: 'inconclusive' })
    const [promotion] = await bench.all()
    const place = { project, environment: 'production' }
    expect(promotion).toMatchObject({ state: 'proposed' })
    expect(await bench.promotions.clearance(place, model, promotion!.digest)).toMatchObject({
      cleared: false,
      cause: 'unapproved',
    })
    await bench.promotions.approve(promotion!.id, owner)
    expect(await bench.promotions.clearance(place, model, promotion!.digest)).toEqual({ cleared: true, version: 1 })
  })

  it('proposes on a branch, and an approval makes the commit, removes the branch and is in the audit trail', async () => {
    await begin(pullRequest)
    await judged('e1')
    const [waiting] = await bench.all()
    expect(waiting!.state).toBe('proposed')
    expect(await bench.text('modelwright/promote-production-1')).toContain(waiting!.digest)
    const approved = await bench.promotions.approve(waiting!.id, member)
    expect(approved).toMatchObject({ state: 'committed', decidedBy: 'mia' })
    expect((await bench.declared())!.digest).toBe(waiting!.digest)
    expect(await bench.branches()).toEqual(['main'])
    expect((await bench.messages())[0]).toContain('Modelwright-Approved-By: mia')
    const audit = await bench.db.selectFrom('audit').selectAll().where('action', '=', 'promotion.approve').execute()
    expect(audit).toMatchObject([{ actor: 'mia', subject: waiting!.id }])
    expect(await verifyAudit(bench.db)).toBeUndefined()
  })

  it('lets neither nobody nor a step approve, and asks for the role that the file names', async () => {
    await begin('{ production: { approval: owner } }')
    await judged('e1')
    const { id } = (await bench.all())[0]!
    await expect(bench.promotions.approve(id, anonymous)).rejects.toMatchObject({ code: 'Forbidden' })
    await expect(bench.promotions.approve(id, { kind: 'step', name: 'train' })).rejects.toMatchObject({
      code: 'Forbidden',
    })
    await expect(bench.promotions.approve(id, member)).rejects.toMatchObject({ code: 'Forbidden' })
    expect(await bench.promotions.approve(id, owner)).toMatchObject({ state: 'committed', decidedBy: 'olga' })
    await expect(bench.promotions.approve(id, owner)).rejects.toMatchObject({ code: 'Conflict' })
  })

  it('notices a person who merged the proposal with git', async () => {
    await begin(pullRequest)
    await judged('e1')
    const { proposalBranch } = (await bench.all())[0]!
    await bench.push(await bench.text(proposalBranch), 'gina')
    await bench.deliver()
    expect((await bench.all())[0]).toMatchObject({ state: 'merged', decidedBy: 'gina' })
    expect(await bench.branches()).toEqual(['main'])
  })

  it('takes no approval from a commit whose author calls itself Modelwright', async () => {
    await begin(pullRequest)
    await judged('e1', { outcome: 'inconclusive' })
    const { proposalBranch, digest } = (await bench.all())[0]!
    await bench.push(await bench.text(proposalBranch), anonymous.name)
    await bench.deliver()
    const place = { project, environment: 'production' }
    expect(await bench.promotions.clearance(place, model, digest)).toMatchObject({
      cleared: false,
      cause: 'unapproved',
    })
  })

  it('does not propose again what a person rejected', async () => {
    await begin(pullRequest)
    await judged('e1', { content: 'same' })
    const { id } = (await bench.all())[0]!
    expect(await bench.promotions.reject(id, member)).toMatchObject({ state: 'rejected', decidedBy: 'mia' })
    expect(await bench.branches()).toEqual(['main'])
    await judged('e2', { content: 'same' })
    expect((await bench.all()).map(({ state }) => state)).toEqual(['rejected'])
  })

  it('bars a version that a push reverted, whatever is judged afterwards, until a person approves it', async () => {
    await begin(automatic)
    await judged('e1')
    const first = await bench.text()
    await judged('e2', { content: 'second' })
    expect((await bench.declared())!.version).toBe(2)
    await bench.push(first, 'mia')
    await bench.deliver()
    expect((await bench.all()).map(({ state }) => state)).toEqual(['committed', 'barred'])
    await judged('e3', { content: 'second' })
    expect((await bench.declared())!.version).toBe(1)
    const { id } = (await bench.all())[1]!
    expect(await bench.promotions.approve(id, owner)).toMatchObject({ state: 'committed' })
    expect((await bench.declared())!.version).toBe(2)
    await bench.deliver()
    const place = { project, environment: 'production' }
    expect(await bench.promotions.barOn(place, (await bench.declared())!.digest!)).toBeUndefined()
  })

  it('proposes the revert of an aborted version once, and bars the version', async () => {
    await begin(automatic)
    await judged('e1')
    await judged('e2')
    const [first, second] = await bench.all()
    const aborted = {
      ...{ project, environment: 'production', model, version: 2, digest: second!.digest, reason: '3 of 30 failed' },
      back: { version: 1, digest: first!.digest },
    }
    bench.turn(60_000)
    await bench.promotions.versionAborted(aborted)
    await bench.promotions.versionAborted(aborted)
    await bench.deliver()
    const states = (await bench.all()).map(({ kind, state }) => `${kind} ${state}`)
    expect(states).toEqual(['promotion committed', 'promotion barred', 'revert proposed'])
    expect((await bench.declared())!.version).toBe(2)
    expect(await bench.text('modelwright/revert-production-2')).toContain(first!.digest)
    await bench.push(await bench.text('modelwright/revert-production-2'), 'mia')
    await bench.deliver()
    expect((await bench.all())[2]).toMatchObject({ kind: 'revert', state: 'merged' })
    expect(await bench.branches()).toEqual(['main'])
    await judged('e3', { content: 'e2' })
    expect((await bench.declared())!.version).toBe(1)
  })

  it('asks a person where another version was declared after the candidate was judged', async () => {
    await begin(pullRequest)
    await judged('e1')
    const one = (await bench.all())[0]!
    await bench.push(projectText(automatic), 'mia')
    await bench.deliver()
    await bench.judge('e2')
    // Approved while the second waits to be handled: its evidence was against no champion at all.
    const slow = bench.restarted()
    await bench.db
      .updateTable('promotions')
      .set({ state: 'intended', destination: 'branch' })
      .where('id', '=', one.id)
      .execute()
    await bench.push(projectText(automatic, `    version: 9\n    digest: sha256:${'9'.repeat(64)}\n`), 'mia')
    await slow.resume()
    expect((await bench.promotions.get(one.id)).state).toBe('proposed')
    await bench.deliver()
  })

  it('makes its edit anew on a branch that moved, and gives up with the reason where the model is gone', async () => {
    await begin(pullRequest)
    await judged('e1')
    await judged('e2')
    const [, waiting] = await bench.all()
    await bench.push(`# a new first line\n${projectText(pullRequest)}`)
    expect(await bench.promotions.approve(waiting!.id, member)).toMatchObject({ state: 'committed' })
    expect(await bench.text()).toMatch(/^# a new first line\n/)
    await judged('e3')
    const third = (await bench.all()).find(({ state }) => state === 'proposed')!
    await bench.push(`project: ${project}\nsteps:\n  train: { run: python train.py, outs: [out] }\n`)
    expect(await bench.promotions.approve(third.id, member)).toMatchObject({ state: 'blocked' })
    expect((await bench.promotions.get(third.id)).note).toContain(model)
    await bench.deliver()
  })

  it('lets a newer proposal with no worse evidence take the place of one that waits', async () => {
    await begin(pullRequest)
    await judged('e1')
    await judged('e2', { outcome: 'warn' })
    expect((await bench.all()).map(({ state }) => state)).toEqual(['proposed', 'proposed'])
    await judged('e3')
    expect((await bench.all()).map(({ state }) => state)).toEqual(['superseded', 'superseded', 'proposed'])
    expect(await bench.branches()).toEqual(['main', 'modelwright/promote-production-3'])
  })
})

describe('a promotion whose server dies', () => {
  /** Dies at the n-th call of a kind, before or after it took effect. */
  class Killed extends Error {}
  const dying =
    (method: 'commitFiles' | 'deleteBranch', moment: 'before' | 'after', armed: { on: boolean }) =>
    (real: Repositories) =>
      new Proxy(real, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown
          if (typeof value !== 'function') return value
          const call = (value as (...args: unknown[]) => unknown).bind(target)
          if (name !== method) return call
          return async (...args: unknown[]) => {
            if (armed.on && moment === 'before') throw new Killed()
            const result = await call(...args)
            if (armed.on) throw new Killed()
            return result
          }
        },
      })

  for (const moment of ['before', 'after'] as const)
    for (const rule of [automatic, pullRequest])
      it(`commits exactly once when it dies ${moment} the commit (${rule})`, async () => {
        const armed = { on: true }
        const bench = await promotionBench({ repositories: dying('commitFiles', moment, armed) })
        await bench.push(projectText(rule))
        await bench.judge('e1')
        const payload = { project, executionId: 'e1' as ExecutionId, model, verdictId: 'verdict-e1', outcome: 'pass' }
        await expect(bench.promotions.onJudged(payload, 1)).rejects.toBeInstanceOf(Killed)
        armed.on = false
        bench.turn(60_000)
        const again = bench.restarted()
        await again.resume()
        await again.onJudged(payload, 1)
        await again.resume()
        await bench.deliver()
        const [promotion, ...others] = await bench.all()
        expect(others).toEqual([])
        expect(promotion!.state).toBe(rule === automatic ? 'committed' : 'proposed')
        const branch = rule === automatic ? 'main' : promotion!.proposalBranch
        expect((await bench.messages(branch)).filter((text) => text.includes('Modelwright-Promotion'))).toHaveLength(1)
        await bench.close()
      })

  it('makes its commit on the new head when the branch moves at that very moment', async () => {
    let meanwhile: (() => Promise<unknown>) | undefined
    const bench = await promotionBench({
      repositories: (real) =>
        new Proxy(real, {
          get(target, name) {
            const value = Reflect.get(target, name) as unknown
            if (typeof value !== 'function') return value
            return async (...args: unknown[]) => {
              const push = name === 'commitFiles' ? meanwhile : undefined
              if (push) meanwhile = undefined
              await push?.()
              return (value as (...args: unknown[]) => unknown).apply(target, args)
            }
          },
        }),
    })
    await bench.push(projectText(automatic))
    meanwhile = () => bench.push(`# pushed meanwhile\n${projectText(automatic)}`)
    await bench.judge('e1')
    await bench.deliver()
    expect((await bench.all())[0]!.state).toBe('committed')
    expect(await bench.text()).toMatch(/^# pushed meanwhile\n/)
    expect((await bench.declared())!.version).toBe(1)
    expect((await bench.messages()).filter((text) => text.includes('Modelwright-Promotion'))).toHaveLength(1)
    expect(bench.failures).toEqual([])
    await bench.close()
  })

  it('goes on with the others when one promotion cannot be finished, and says which', async () => {
    const armed = { on: true }
    const bench = await promotionBench({ repositories: dying('commitFiles', 'before', armed) })
    await bench.push(projectText(automatic))
    await bench.judge('e1')
    const payload = { project, executionId: 'e1' as ExecutionId, model, verdictId: 'verdict-e1', outcome: 'pass' }
    await expect(bench.promotions.onJudged(payload, 1)).rejects.toBeInstanceOf(Killed)
    const { id } = (await bench.all())[0]!
    expect(await bench.promotions.resume()).toMatchObject([{ subject: id }])
    await bench.close()
  })

  it('finds its commit under the work that others pushed on top since', async () => {
    const armed = { on: true }
    const bench = await promotionBench({ repositories: dying('commitFiles', 'after', armed) })
    await bench.push(projectText(automatic))
    await bench.judge('e1')
    const payload = { project, executionId: 'e1' as ExecutionId, model, verdictId: 'verdict-e1', outcome: 'pass' }
    await expect(bench.promotions.onJudged(payload, 1)).rejects.toBeInstanceOf(Killed)
    armed.on = false
    await bench.push('print(1)', 'mia', 'other.py')
    await bench.restarted().resume()
    expect((await bench.all())[0]!.state).toBe('committed')
    expect((await bench.messages()).filter((text) => text.includes('Modelwright-Promotion'))).toHaveLength(1)
    await bench.close()
  })

  it('removes the proposal branch that a death left behind', async () => {
    const armed = { on: false }
    const bench = await promotionBench({ repositories: dying('deleteBranch', 'before', armed) })
    await bench.push(projectText(pullRequest))
    await bench.judge('e1')
    await bench.deliver()
    armed.on = true
    const { id } = (await bench.all())[0]!
    await expect(bench.promotions.approve(id, owner)).rejects.toBeInstanceOf(Killed)
    armed.on = false
    await bench.restarted().resume()
    expect(await bench.branches()).toEqual(['main'])
    expect((await bench.promotions.get(id)).state).toBe('committed')
    await bench.close()
  })
})
