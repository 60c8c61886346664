import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { digestOf } from '../kernel/digest.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { ProjectsService } from '../projects/index.ts'
import { dataForConversion } from './datasets.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mw-data-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('lays out the tables that a version was made of, and leaves out what is no table, what is gone and what nobody names', async () => {
  const objects = new MemoryObjectStore()
  const put = async (text: string) => (await objects.put(text)).digest
  const paths = { biopsies: 'data/biopsies.CSV', more: 'more.parquet', scans: 'scans.zip', lost: 'lost.csv' }
  const data = Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, { path, checks: [] }]))
  const projects = { fileAt: async () => ({ file: { data } }) } as unknown as Pick<ProjectsService, 'fileAt'>
  const manifest = {
    environmentLock: 'none' as const,
    project: 'p',
    commit: 'c' as CommitId,
    data: {
      biopsies: await put('a,b\n1,2\n'),
      scans: await put('zip'),
      lost: digestOf('lost'),
      unnamed: await put('x'),
      more: await put('columns'),
    },
  }
  const laidOut = await dataForConversion(objects, projects)(manifest, folder)
  expect(laidOut).toEqual([join(folder, 'data-0.csv'), join(folder, 'data-1.parquet')])
  expect(laidOut.map((path) => readFileSync(path, 'utf8'))).toEqual(['a,b\n1,2\n', 'columns'])
})
