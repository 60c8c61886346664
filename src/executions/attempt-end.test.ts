import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { type Ended, failureOfAttempt } from './attempt-end.ts'
import { attemptFolders } from './workspace.ts'

const top = mkdtempSync(join(tmpdir(), 'modelwright-attempt-'))
const hidden = join(top, 'hidden')
const folders = attemptFolders(join(top, 'work'), 'e1', 'train', 1)
for (const folder of [hidden, folders.workspace, folders.notes]) mkdirSync(folder, { recursive: true })
afterAll(() => rmSync(top, { recursive: true, force: true }))

const failureAfter = (log: string) =>
  failureOfAttempt(
    {
      executionId: 'e1',
      node: 'train',
      step: { isolated: true, resources: {}, outs: [] },
      file: { data: {} },
      folders,
      key: { files: {} },
      veil: async () => ({ hidden: [hidden], visible: [] }),
      commitPaths: async () => new Set<string>(),
      tail: async () => log,
    } as unknown as Ended,
    { code: 1, startedAt: 1 },
  )

it('takes a full disk for the reason, whatever else the log misses outside the workspace', async () => {
  const missing = `cannot open ${hidden}/settings: No such file or directory\n`
  expect(await failureAfter(missing)).toMatchObject({ error: { code: 'OutsideWorkspace' }, final: false })
  expect(await failureAfter(`${missing}OSError: [Errno 28] No space left on device\n`)).toMatchObject({
    error: { code: 'StorageFull' },
    final: false,
  })
})
