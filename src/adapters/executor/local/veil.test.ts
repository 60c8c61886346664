import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalExecutor } from './local-executor.ts'
import { launcherScript } from './testing/launcher-script.ts'
import { veilMounts } from './veil.ts'

describe('the plan of a veil', () => {
  it('hides the outer folder once, and shows and hides in turn what lies inside', () => {
    const plan = veilMounts({
      hidden: ['/home/u/p/.modelwright', '/home/u', '/home/u/p', '/home/u/.pyenv/secret'],
      visible: ['/home/u/p/.modelwright/work/1', '/home/u/.pyenv', '/usr/bin', '/home/u/.pyenv/shims'],
    })
    expect(plan).toEqual([
      { kind: 'hide', at: '/home/u' },
      { kind: 'show', at: '/home/u/.pyenv' },
      { kind: 'hide', at: '/home/u/.pyenv/secret' },
      { kind: 'show', at: '/home/u/p/.modelwright/work/1' },
    ])
  })

  it('hides what is both', () => {
    expect(veilMounts({ hidden: ['/a'], visible: ['/a'] })).toEqual([{ kind: 'hide', at: '/a' }])
  })

  it('takes no neighbour with the same beginning for what lies inside', () => {
    expect(veilMounts({ hidden: ['/data'], visible: ['/database'] })).toHaveLength(1)
  })
})

const { veil } = await new LocalExecutor({ launcher: launcherScript }).abilities()
if (!veil.holds) console.warn(`the veil: skipped, this machine hides nothing: ${veil.why}`)

describe.skipIf(!veil.holds)('a command behind the veil', () => {
  const top = mkdtempSync(join(tmpdir(), 'modelwright veil-'))
  const data = join(top, 'da ta#1')
  const executor = new LocalExecutor({ launcher: launcherScript, hidden: [data, join(top, 'home')] })
  let count = 0
  beforeAll(() => {
    for (const folder of ['keys', 'environments/one', 'work']) mkdirSync(join(data, folder), { recursive: true })
    mkdirSync(join(top, 'home', 'tools'), { recursive: true })
    writeFileSync(join(data, 'keys', 'key'), 'secret')
    writeFileSync(join(top, 'home', 'notes'), 'mine')
    writeFileSync(join(top, 'home', 'tools', 'tool'), 'tool')
    writeFileSync(join(data, 'one-file'), 'shown')
    symlinkSync(data, join(top, 'link'))
  })
  afterAll(() => rmSync(top, { recursive: true, force: true }))

  const run = async (command: string, visible: string[] = [], by = data) => {
    const dir = join(by, 'work', String(count++))
    const cwd = join(dir, 'workspace')
    mkdirSync(cwd, { recursive: true })
    const env = { PATH: '/usr/bin:/bin', DATA: data, TOP: top }
    await executor.start({ dir, cwd, command, env, veil: { visible: [cwd, ...visible] } })
    const end = await executor.ended(dir)
    return { dir, cwd, end, log: readFileSync(executor.logPath(dir), 'utf8') }
  }

  it('sees its own folder and what is shown, and of the rest not even that it is there', async () => {
    const { log, end, cwd } = await run(
      'pwd; ls "$DATA" "$TOP/home"; cat "$DATA/one-file"; test -e "$DATA/keys/key" || echo none; echo out > out',
      [join(data, 'one-file'), join(top, 'home', 'tools')],
    )
    expect(end.code, log).toBe(0)
    const expected = `${cwd}\n${data}:\none-file\nwork\n\n${top}/home:\ntools\nshownnone\n`
    expect(log).toBe(expected)
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('out\n')
  })

  it('does not get out by .. or by the links of another process, and can write nowhere hidden', async () => {
    const { log } = await run(
      `cat ../../../keys/key; cat /proc/${process.pid}/root"$DATA"/keys/key; echo x > "$DATA/new" || echo refused`,
    )
    expect(log).not.toContain('secret')
    expect(log).toContain('refused')
    expect(existsSync(join(data, 'new'))).toBe(false)
  })

  it('does not get out by the process that keeps its process ids, and finds nothing open there to write to', async () => {
    const { log, end } = await run(
      `cat /proc/1/root"$DATA"/keys/key; for fd in /proc/1/fd/*; do echo "ended 0" >> "$fd"; done; exit 7`,
    )
    expect(log).not.toContain('secret')
    expect(end.code).toBe(7)
  })

  it('is lost, not failed, when the process that keeps its process ids is killed', async () => {
    const name = `kept-${process.pid}`
    const going = run(`echo ${name} > begun; sleep 60`)
    const dir = join(data, 'work', String(count - 1))
    while (!existsSync(join(dir, 'workspace', 'begun'))) await new Promise((done) => setTimeout(done, 5))
    const state = await executor.observe(dir)
    const children = spawnSync('pgrep', ['-P', String('pid' in state && state.pid)], { encoding: 'utf8' }).stdout
    // The keeper came first.
    process.kill(Number(children.split('\n')[0]), 'SIGKILL')
    expect((await going).end.code).toBeUndefined()
  })

  it('keeps exit statuses, signals, and ways through links', async () => {
    expect((await run('exit 7')).end.code).toBe(7)
    expect((await run('kill -9 $$')).end.code).toBe(137)
    const linked = await run('echo here > seen', [], join(top, 'link'))
    expect(linked.end.code, linked.log).toBe(0)
    expect(existsSync(join(linked.cwd, 'seen'))).toBe(true)
  })

  it('ends with the command whatever it started, also what hid from the process table', async () => {
    const second = `sleep-${process.pid}`
    writeFileSync(join(data, second), '')
    const { end } = await run(`env -i setsid sh -c 'sleep 77; : ${second}' & (setsid sleep 77 &) ; exit 0`)
    expect(end.code).toBe(0)
    expect(spawnSync('pgrep', ['-f', second], { encoding: 'utf8' }).stdout).toBe('')
  })

  it('sees everything where it may, and its processes end with it all the same', async () => {
    const dir = join(data, 'work', String(count++))
    mkdirSync(dir)
    const name = `all-${process.pid}`
    const command = `cat "${data}/keys/key"; env -i setsid sh -c 'sleep 79; : ${name}' & echo left`
    await executor.start({
      dir,
      cwd: dir,
      command,
      env: { PATH: '/usr/bin:/bin' },
      veil: { visible: [], seesAll: true },
    })
    await executor.ended(dir)
    expect(readFileSync(executor.logPath(dir), 'utf8')).toBe('secretleft\n')
    expect(spawnSync('pgrep', ['-f', name], { encoding: 'utf8' }).stdout).toBe('')
  })

  it('is its own user, and sees only its own processes', async () => {
    const { log } = await run('id -u; ls /proc | grep -c "^[0-9]"')
    const [uid, processes] = log.trim().split('\n').map(Number)
    expect(uid).toBe(process.getuid?.())
    expect(processes).toBeLessThan(10)
  })

  it.each(["trap '' TERM", 'kill -STOP 0'])(
    'is killed, and not lost, when it does not end in time: %s',
    async (how) => {
      const dir = join(data, 'work', String(count++))
      const cwd = join(dir, 'workspace')
      mkdirSync(cwd, { recursive: true })
      const command = `${how.replace(/^kill/, ': > ready; kill')}; : > ready; while :; do sleep 0.02; done`
      await executor.start({ dir, cwd, command, env: { PATH: '/usr/bin:/bin' }, veil: { visible: [cwd] } })
      while (!existsSync(join(cwd, 'ready'))) await new Promise((done) => setTimeout(done, 5))
      await executor.kill(dir, 100)
      expect((await executor.ended(dir)).code).toBe(137)
    },
  )

  it('reads what it is shown for reading, and cannot change it, be it hidden around or not', async () => {
    const [inside, outside] = [join(data, 'environments', 'one'), join(top, 'packages')]
    mkdirSync(outside, { recursive: true })
    for (const folder of [inside, outside]) writeFileSync(join(folder, 'module.py'), 'shared\n')
    const dir = join(data, 'work', String(count++))
    const cwd = join(dir, 'workspace')
    mkdirSync(cwd, { recursive: true })
    const command = `cd "${cwd}"; for f in "${inside}" "${outside}"; do cat "$f/module.py"; echo x >> "$f/module.py"; touch "$f/new"; rm "$f/module.py"; done 2>&1 | grep -v -i "read-only"; echo mine > out`
    const veil = { visible: [cwd, inside], readOnly: [inside, outside] }
    await executor.start({ dir, cwd, command, env: { PATH: '/usr/bin:/bin' }, veil })
    expect((await executor.ended(dir)).code).toBe(0)
    expect(readFileSync(executor.logPath(dir), 'utf8')).toBe('shared\nshared\n')
    for (const folder of [inside, outside]) {
      expect(readFileSync(join(folder, 'module.py'), 'utf8')).toBe('shared\n')
      expect(existsSync(join(folder, 'new'))).toBe(false)
    }
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('mine\n')
  })

  it('is given time between SIGTERM and the end', async () => {
    const dir = join(data, 'work', String(count++))
    const cwd = join(dir, 'workspace')
    mkdirSync(cwd, { recursive: true })
    const command = `trap 'echo saved > saved; exit 5' TERM; : > ready; while :; do sleep 0.02; done`
    await executor.start({ dir, cwd, command, env: { PATH: '/usr/bin:/bin' }, veil: { visible: [cwd] } })
    while (!existsSync(join(cwd, 'ready'))) await new Promise((done) => setTimeout(done, 5))
    await executor.kill(dir, 120_000)
    expect(readFileSync(join(cwd, 'saved'), 'utf8')).toBe('saved\n')
    expect((await executor.ended(dir)).code).toBe(5)
  })
})
