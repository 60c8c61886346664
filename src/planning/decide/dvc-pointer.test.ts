import { expect, it } from 'vitest'
import { dvcRemoteFolder, readDvcListing, readDvcPointer } from './dvc-pointer.ts'

const md5 = 'd41d8cd98f00b204e9800998ecf8427e'

it('reads what a pointer stands for, beside it or in its wdir', () => {
  const text = `outs:\n- md5: ${md5}\n  size: 3\n  hash: md5\n  path: raw.csv\n`
  expect(readDvcPointer('data/raw.csv.dvc', text)).toEqual([{ path: 'data/raw.csv', md5, isFolder: false }])
  expect(readDvcPointer('data/raw.csv.dvc', `wdir: ..\n${text}`)).toEqual([{ path: 'raw.csv', md5, isFolder: false }])
  expect(readDvcPointer('i.dvc', `outs:\n- {md5: ${md5}.dir, path: images}\n`)).toEqual([
    { path: 'images', md5: `${md5}.dir`, isFolder: true },
  ])
})

it.each(['', 'outs: []', 'just text', '{', 'outs:\n- path: x\n', `outs:\n- {md5: ${md5}, path: ../../x}\n`])(
  'finds nothing in %j',
  (text) => {
    expect(readDvcPointer('a/x.dvc', text)).toEqual([])
  },
)

it("reads a folder's listing, and nothing that leads out of the repository", () => {
  const listing = JSON.stringify([
    { md5, relpath: 'a/1.png' },
    { md5, relpath: 'run.sh', isexec: true },
    { md5, relpath: '../../etc/passwd' },
  ])
  expect(readDvcListing('images', listing).map(({ path, executable }) => [path, executable])).toEqual([
    ['images/a/1.png', false],
    ['images/run.sh', true],
  ])
})

it.each<[string, string]>([
  ['[core]\n    remote = store\n[\'remote "store"\']\n    url = /srv/dvc\n', '/srv/dvc'],
  ['[core]\nremote = s\n[remote "s"]\nurl = file:///srv/dvc\n', '/srv/dvc'],
])('finds the default remote in %j', (config, folder) => {
  expect(dvcRemoteFolder(config)).toBe(folder)
})

it.each<[string | undefined, string]>([
  [undefined, 'DependencyMissing'],
  ['[core]\n', 'DependencyMissing'],
  ['[core]\nremote = s\n[remote "s"]\nurl = s3://bucket\n', 'NotYetSupported'],
  ['[core]\nremote = s\n[remote "s"]\nurl = ../store\n', 'NotYetSupported'],
])('says what is wrong with the remote of %j', (config, code) => {
  expect(() => dvcRemoteFolder(config)).toThrow(expect.objectContaining({ code }))
})
