// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${item} is a word of modelwright.yaml
import { afterAll, beforeAll, expect, it } from 'vitest'
import { terminal } from './terminal.ts'

// What somebody asks after a push: what was written, what failed and what to do, why a step ran.

const file = (prepare: string) => `project: demo
steps:
  list: { run: "sleep 1; echo '[1, 2]' > list.json", outs: [list.json] }
  each: { run: "echo item \${item}", foreach: list.json }
  prepare: { run: "${prepare}", deps: [a.txt], outs: [b.txt] }
  again: { run: "ls ck; touch ck/x; ls ck/y 2>/dev/null || { touch ck/y; exit 3; }", retries: { times: 1, wait: 1s }, checkpoints: ck/ }
  long: { run: "head -c 300000 /dev/zero | tr '\\\\0' x" }
  broken: { run: "echo oh; exit 4" }
  nolist: { run: "echo '{}' > map.json", outs: [map.json] }
  none: { run: "echo \${item}", foreach: map.json }
`

let at: Awaited<ReturnType<typeof terminal>>
beforeAll(async () => {
  at = await terminal({ 'modelwright.yaml': file('cat a.txt > b.txt'), 'a.txt': 'a\n' })
  await at.startServer()
  expect(await at.mw(['init'])).toMatchObject({ code: 0 })
  at.git('push', '-q', 'modelwright', 'main')
})
afterAll(() => at.close())

it('follows the steps of a list and further attempts, which were not there when it began', async () => {
  const { out, err } = await at.mw(['logs', '-f'])
  const linesOf = (step: string) => out.split('\n').filter((line) => line.startsWith(step))
  expect(linesOf('each@1')).toEqual([expect.stringMatching(/│ item 1$/)])
  expect(linesOf('each@2')).toEqual([expect.stringMatching(/│ item 2$/)])
  expect(linesOf('again').map((line) => line.replace(/.*│ /, ''))).toEqual(['x', 'y', 'ck/y'])
  expect(linesOf('broken')).toEqual([expect.stringMatching(/│ oh$/)])
  expect(err).toMatch(/^✗ broken "broken" ended with exit status 4\.\n✗ none /m)
  expect(err).toContain('it is a map, not a list.\n  Write a JSON list')
})

it('tells of a step that was never begun what its log cannot', async () => {
  const { out, err } = await at.mw(['logs', 'none'])
  expect(out).toBe('')
  expect(err).toContain('✗ none The list "map.json" of "none" cannot be carried out: it is a map, not a list.')
  const { steps } = await at.json('logs', 'latest', 'none')
  expect(steps).toEqual([{ step: 'none', text: '', error: expect.objectContaining({ code: 'FanOutInvalid' }) }])
})

it('writes a long line of one step as it is, and of several in pieces', async () => {
  expect((await at.mw(['logs', 'latest', 'long'])).out).toBe(`${'x'.repeat(300_000)}\n`)
  const all = (await at.mw(['logs'])).out.split('\n').filter((line) => line.startsWith('long'))
  expect(all.join('').replaceAll(/long +│ /g, '')).toBe('x'.repeat(300_000))
})

it('explains after the push why a step ran in it, what changed in its command, and an item of a list', async () => {
  expect((await at.mw(['explain', 'prepare'])).out).toMatch(
    /: reused\n.*\nfrom execution .*\nit ran there because\n {2}first time\n/,
  )
  at.write('modelwright.yaml', file('cat a.txt a.txt > b.txt'))
  at.git('commit', '-qam', 'two')
  at.git('push', '-q', 'modelwright', 'main')
  await at.mw(['logs', '-f'])
  expect((await at.mw(['explain', 'prepare'])).out).toMatch(
    /it ran there because \(since [0-9a-f]{8} at [0-9a-f]{8}\)\n {2}command changed\n/,
  )
  const against = await at.mw(['explain', 'prepare', '--against', 'latest~1'])
  expect(against.out).toMatch(
    /: reused\n {2}command changed\n {4}from {2}cat a\.txt > b\.txt\n {4}to {4}cat a\.txt a\.txt > b\.txt\ncompared with execution /,
  )
  expect((await at.mw(['explain', 'each@2'])).out).toMatch(
    /^each@2 at [0-9a-f]{12}: reused, as execution [0-9a-f-]{36} decided\n/,
  )
  expect((await at.mw(['explain', 'each@3'])).err).toContain('There is no step "each@3"')
})
