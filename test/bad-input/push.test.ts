import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pidOf } from '../crash/support/kill.ts'
import { Family } from '../journeys/support/family.ts'
import { Project } from '../journeys/support/project.ts'

// Files and repositories that must be refused at the push, by the real Git client; the branch stays, the server too.

let family: Family
let project: Project
let good: string
let server: number
beforeAll(async () => {
  family = await Family.start()
  project = await Project.connect(family, 'hostile', { 'modelwright.yaml': file("  fine: { run: 'true' }") })
  good = (await project.push('good')).commit
  await project.succeeded(good)
  server = pidOf(family, 'server')
})
afterAll(() => family?.stop())

const file = (steps: string) => `project: hostile\nsteps:\n${steps}\n`
const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij']
  .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`)}]`)
  .join('\n')}\n`

const refused: [what: string, text: string | Buffer, told: RegExp][] = [
  ['a YAML bomb', `${file('  a: { run: x }')}${bomb}`, /alias|bomb|anchor/i],
  ['a file of 2 MB', `${file('  a: { run: x }')}# ${'x'.repeat(2_000_000)}\n`, /larger|bytes|MB|KB/i],
  ['10,000 levels', `project: hostile\nsteps: ${'['.repeat(10_000)}`, /deep|level|nest/i],
  ['a key twice', file('  a: { run: x }\n  a: { run: y }'), /"a" a second time/],
  [
    'steps in a circle',
    file('  a: { run: x, deps: [o], outs: [p] }\n  b: { run: x, deps: [p], outs: [o] }'),
    /cycle|circle|a.*b.*a/i,
  ],
  ['a step that needs itself', file('  a: { run: x, deps: [o], outs: [o] }'), /cannot depend on what it writes/],
  ['the same output twice', file('  a: { run: x, outs: [o] }\n  b: { run: y, outs: [o] }'), /o.*(a|b)/],
  ['an output within another', file('  a: { run: x, outs: [o] }\n  b: { run: y, outs: [o/p] }'), /o\/p|o/],
  ['an output outside', file('  a: { run: x, outs: [../../o] }'), /\.\.\/\.\.\/o/],
  ['an output outside by a detour', file('  a: { run: x, outs: [o/../../p] }'), /\.\./],
  ['an absolute output', file('  a: { run: x, outs: [/etc/cron.d/x] }'), /\/etc\/cron\.d\/x/],
  ['an absolute dep', file('  a: { run: x, deps: [/etc/passwd] }'), /\/etc\/passwd/],
  ['a dep outside', file('  a: { run: x, deps: [../secret] }'), /\.\.\/secret/],
  ['a dep with a backslash', file("  a: { run: x, deps: ['..\\secret'] }"), /secret/],
  [
    'data outside',
    `${file("  a: { run: x, deps: ['data:d'] }")}data: { d: { path: ../../d.csv } }\n`,
    /\.\.\/\.\.\/d\.csv/,
  ],
  ['a step named like a command', file("  'a; rm -rf /': { run: x }"), /a; rm -rf/],
  ['a step named like a substitution', file("  '$(touch x)': { run: x }"), /touch x/],
  ['a step named ..', file("  '..': { run: x }"), /"\.\."|\.\./],
  ['a step named with a slash', file("  'a/b': { run: x }"), /a\/b/],
  ['a step named with a line feed', file('  "a\\nb": { run: x }'), /a.*b/s],
  ['a step named __proto__', file('  __proto__: { run: x }'), /__proto__/],
  ['bytes that are no UTF-8', Buffer.from([0x70, 0xff, 0xfe, 0x0a]), /UTF-8|YAML|valid/i],
  ['nothing', '', /project|empty/i],
]

it.each(refused)('refuses %s, names it and its place, and moves nothing', async (_, text, told) => {
  await project.git('reset', '-q', '--hard', good)
  await project.write({ 'modelwright.yaml': text as string })
  await project.commit('hostile')
  const pushed = await project.tryPush()
  expect(pushed.code, pushed.output).toBe(1)
  expect(pushed.output).toMatch(/ConfigInvalid|BadRequest|DependencyMissing/)
  expect(pushed.output).toMatch(told)
  expect(pushed.output).not.toContain('Internal')
  expect(await project.remoteHead()).toBe(good)
})

it.each([
  ['a dep that leads out by a link', 'link', '/etc/passwd', '  a: { run: x, deps: [link] }'],
  ['a folder that leads out by a link', 'folder', '../../..', '  a: { run: x, deps: [folder/] }'],
  ['its own file being a link out', 'modelwright.yaml', '/etc/hostname', ''],
])('refuses %s', async (_, name, target, steps) => {
  await project.git('reset', '-q', '--hard', good)
  if (steps) await project.write({ 'modelwright.yaml': file(steps) })
  else await project.write({ 'modelwright.yaml': undefined })
  symlinkSync(target, join(project.folder, name))
  await project.commit('link')
  const pushed = await project.tryPush()
  expect(pushed.code, pushed.output).toBe(1)
  expect(pushed.output).toContain(name)
  expect(await project.remoteHead()).toBe(good)
})

it('refuses a push that would take commits away, and says what to do instead', async () => {
  await project.git('reset', '-q', '--hard', good)
  await project.git('commit', '-q', '--amend', '-m', 'rewritten')
  const pushed = await project.git('push', '--force', 'modelwright', 'main')
  expect(pushed.code).toBe(1)
  expect(await project.remoteHead()).toBe(good)
})

it('still runs a good push after all of this, in the same process', async () => {
  await project.git('reset', '-q', '--hard', good)
  const { commit } = await project.push('good again', { 'README.md': 'Still here.\n' })
  await project.succeeded(commit)
  expect(pidOf(family, 'server')).toBe(server)
  expect(
    execFileSync('git', ['--git-dir', join(family.dataDir, 'git/repositories/hostile.git'), 'fsck']).toString(),
  ).toBe('')
})
