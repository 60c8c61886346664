import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { attemptFolders, putCheckpoints, removeFolder, removeSmall, strayFiles, takeCheckpoints } from './workspace.ts'

const top = mkdtempSync(join(tmpdir(), 'modelwright-workspace-'))
afterAll(() => rmSync(top, { recursive: true, force: true }))
let count = 0

const write = (path: string, text = '') => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

describe('checkpoints', () => {
  const attempts = () => {
    const execution = String(count++)
    return [3, 2, 1].map((attempt) => attemptFolders(top, execution, 'train', attempt))
  }
  const saved = (folders: ReturnType<typeof attemptFolders>) => join(folders.workspace, 'ckpt', 'epoch')
  const laidOutAnew = (folders: ReturnType<typeof attemptFolders>) => {
    rmSync(folders.workspace, { recursive: true, force: true })
    mkdirSync(folders.workspace, { recursive: true })
  }

  it('come from the newest attempt that left any', async () => {
    const [now, before, first] = attempts()
    write(saved(first!), '1')
    mkdirSync(join(before!.workspace, 'ckpt'), { recursive: true })
    await takeCheckpoints('ckpt', [now!, before!, first!])
    laidOutAnew(now!)
    await putCheckpoints('ckpt', now!)
    expect(readFileSync(saved(now!), 'utf8')).toBe('1')
    expect(existsSync(saved(first!))).toBe(false)
  })

  it('survive a crash between any two of these moves', async () => {
    const [now, before] = attempts()
    write(saved(before!), '2')
    await takeCheckpoints('ckpt', [now!, before!])
    await takeCheckpoints('ckpt', [now!, before!])
    laidOutAnew(now!)
    await putCheckpoints('ckpt', now!)
    await takeCheckpoints('ckpt', [now!, before!])
    laidOutAnew(now!)
    await putCheckpoints('ckpt', now!)
    expect(readFileSync(saved(now!), 'utf8')).toBe('2')
  })

  it('are found where the attempt before crashed before it had put them into its workspace', async () => {
    const [now, before] = attempts()
    write(join(before!.dir, 'checkpoints', 'epoch'), '3')
    await takeCheckpoints('ckpt', [now!, before!])
    laidOutAnew(now!)
    await putCheckpoints('ckpt', now!)
    expect(readFileSync(saved(now!), 'utf8')).toBe('3')
  })

  it('are an empty folder at first', async () => {
    const [now] = attempts()
    await takeCheckpoints('ckpt', [now!])
    laidOutAnew(now!)
    await putCheckpoints('ckpt', now!)
    expect(existsSync(join(now!.workspace, 'ckpt'))).toBe(true)
  })
})

it('tells files that nobody declared from inputs, outputs, and what tools leave', async () => {
  const folders = attemptFolders(top, String(count++), 'one', 1)
  const paths = ['in/a.csv', 'in/new.csv', 'out/deep/model', 'out.csv', '.cache/x', 'in/__pycache__/m.pyc', 'lost/b/c']
  for (const path of paths) write(join(folders.workspace, path))
  expect((await strayFiles(folders, ['in/a.csv', 'out', 'out.csv'], 10)).sort()).toEqual(['in/new.csv', 'lost/b/c'])
  expect(await strayFiles(folders, ['out'], 2)).toHaveLength(2)
})

it('names and removes also what a step closed to everybody, and what has a name that is no text', async () => {
  const folders = attemptFolders(top, String(count++), 'one', 1)
  const closed = join(folders.workspace, 'closed')
  write(join(closed, 'deep', 'file'))
  mkdirSync(Buffer.concat([Buffer.from(`${folders.workspace}/`), Buffer.from([0xff, 0xfe])]))
  chmodSync(join(closed, 'deep'), 0o555)
  chmodSync(closed, 0)
  expect(strayFiles(folders, [], 10)).toHaveLength(2)
  await removeFolder(folders.workspace)
  expect(existsSync(folders.workspace)).toBe(false)
})

describe('the removal of small folders', () => {
  it('takes next to empty ones, leaves the others, and follows no link that a step put in the place of one', async () => {
    const [small, deep, link, theirs] = ['small', 'deep', 'link', 'theirs'].map((name) => join(top, 'removal', name))
    write(join(small!, 'file'))
    write(join(deep!, 'folder', 'file'))
    write(join(theirs!, 'file'))
    symlinkSync(theirs!, link!)
    await removeSmall([link!, small!, deep!, join(top, 'removal', 'gone')])
    expect([small, deep, link, theirs].map((folder) => existsSync(folder!))).toEqual([false, true, true, true])
    expect(existsSync(join(theirs!, 'file'))).toBe(true)
  })
})
