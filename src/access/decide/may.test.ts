import { describe, expect, it } from 'vitest'
import { type Actor, anonymous } from '../../kernel/route.ts'
import type { Action, Grant, Permission, ResourceType } from '../user.ts'
import { may, permissionOn, type Standing, visibleTo } from './may.ts'

const owner: Actor = { kind: 'owner', name: 'owner' }
const admin: Actor = { kind: 'member', name: 'ada', userId: 1, admin: true }
const member: Actor = { kind: 'member', name: 'ben', userId: 2 }
const step: Actor = { kind: 'step', name: 'step r1', runId: 'r1' }
const seven = { type: 'experiment', id: '7' } as const

const on = (pattern: string, permission: Permission, type: ResourceType = 'experiment'): Grant => ({
  type,
  pattern,
  permission,
})
const standing = (grants: Grant[], defaultPermission: Standing['defaultPermission'] = 'READ'): Standing => ({
  grants,
  defaultPermission,
})

describe('what a user may do with a thing', () => {
  const actions: Action[] = ['read', 'use', 'update', 'delete', 'manage']

  it.each<[Permission, Action[]]>([
    ['NO_PERMISSIONS', []],
    ['DENY', []],
    ['READ', ['read']],
    ['USE', ['read', 'use']],
    ['EDIT', ['read', 'use', 'update']],
    ['MANAGE', actions],
  ])('%s allows %j and nothing else', (permission, allowed) => {
    const found = actions.filter(
      (action) => may(member, { action, on: seven }, standing([on('7', permission)], 'NO_PERMISSIONS')).allowed,
    )
    expect(found).toEqual(allowed)
  })

  it('tells who has what and what would be needed', () => {
    expect(may(member, { action: 'update', on: seven }, standing([]))).toEqual({
      allowed: false,
      reason: 'ben has READ on experiment 7, and update needs EDIT',
    })
  })

  it('is nothing where the standing is not known', () => {
    expect(may(member, { action: 'read', on: seven }).allowed).toBe(false)
  })
})

describe('the permission that counts', () => {
  it.each<[string, Grant[], Standing['defaultPermission'], Permission]>([
    ['the default where nothing speaks of it', [], 'READ', 'READ'],
    ['the default where only others are spoken of', [on('8', 'MANAGE')], 'USE', 'USE'],
    ['its own', [on('7', 'EDIT')], 'READ', 'EDIT'],
    ['never less than the default, where it is positive', [on('7', 'READ')], 'EDIT', 'EDIT'],
    ['NO_PERMISSIONS, whatever the default', [on('7', 'NO_PERMISSIONS')], 'EDIT', 'NO_PERMISSIONS'],
    ['the higher of its own and that on all', [on('7', 'READ'), on('*', 'MANAGE')], 'READ', 'MANAGE'],
    ['the higher in either order', [on('*', 'READ'), on('7', 'EDIT')], 'READ', 'EDIT'],
    ['DENY on it above MANAGE on all', [on('*', 'MANAGE'), on('7', 'DENY')], 'MANAGE', 'DENY'],
    ['DENY on all above MANAGE on it', [on('7', 'MANAGE'), on('*', 'DENY')], 'MANAGE', 'DENY'],
    ['not that of a model of the same name', [on('7', 'MANAGE', 'registered_model')], 'READ', 'READ'],
  ])('is %s', (_, grants, defaultPermission, expected) => {
    expect(permissionOn(seven, standing(grants, defaultPermission))).toBe(expected)
  })

  it('does not depend on the order of the grants', () => {
    const grants = [on('7', 'READ'), on('*', 'EDIT'), on('7', 'NO_PERMISSIONS'), on('8', 'DENY'), on('*', 'USE')]
    for (let turn = 0; turn < grants.length; turn++) {
      const turned = [...grants.slice(turn), ...grants.slice(0, turn)]
      expect(permissionOn(seven, standing(turned))).toBe('EDIT')
    }
  })
})

describe('who may do what', () => {
  it.each<[string, Actor, Parameters<typeof may>[1], boolean]>([
    ['the owner administers', owner, { action: 'administer' }, true],
    ['an admin administers', admin, { action: 'administer' }, true],
    ['an admin manages what others made', admin, { action: 'manage', on: seven }, true],
    ['a member administers', member, { action: 'administer' }, false],
    ['nobody known deletes', anonymous, { action: 'delete', on: seven }, true],
    ['nobody known gives permissions', anonymous, { action: 'manage', on: seven }, false],
    ['nobody known administers', anonymous, { action: 'administer' }, false],
    ['a step reads', step, { action: 'read', on: seven }, true],
    ['a step writes its own run', step, { action: 'update', on: seven, stepRunId: 'r1' }, true],
    ["a step writes another's run", step, { action: 'update', on: seven, stepRunId: 'r2' }, false],
    ["a step writes what is no run's", step, { action: 'update', on: seven }, false],
    ['a step administers', step, { action: 'administer' }, false],
  ])('%s', (_, actor, deed, allowed) => {
    expect(may(actor, deed, standing([])).allowed).toBe(allowed)
  })
})

describe('what a search shows', () => {
  it.each<[Grant[], Standing['defaultPermission'], ReturnType<typeof visibleTo>]>([
    [[], 'READ', { except: [] }],
    [[on('7', 'DENY'), on('8', 'NO_PERMISSIONS'), on('9', 'READ')], 'READ', { except: ['7', '8'] }],
    [[], 'NO_PERMISSIONS', { only: [] }],
    [[on('7', 'READ'), on('8', 'DENY')], 'NO_PERMISSIONS', { only: ['7'] }],
    [[on('*', 'READ'), on('8', 'DENY')], 'NO_PERMISSIONS', { except: ['8'] }],
    [[on('*', 'DENY'), on('7', 'MANAGE')], 'READ', { only: [] }],
    [[on('m', 'DENY', 'registered_model')], 'READ', { except: [] }],
  ])('with %j and the default %s is %j', (grants, defaultPermission, expected) => {
    expect(visibleTo('experiment', standing(grants, defaultPermission))).toEqual(expected)
  })

  it('is exactly what may be read', () => {
    const permissions: Permission[] = ['DENY', 'NO_PERMISSIONS', 'READ', 'EDIT']
    for (const all of permissions)
      for (const own of permissions)
        for (const defaultPermission of ['READ', 'NO_PERMISSIONS'] as const) {
          const known = standing([on('*', all), on('7', own)], defaultPermission)
          const visible = visibleTo('experiment', known)
          for (const id of ['7', '8']) {
            const shown = 'only' in visible ? visible.only.includes(id) : !visible.except.includes(id)
            expect(shown).toBe(may(member, { action: 'read', on: { type: 'experiment', id } }, known).allowed)
          }
        }
  })
})
