import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const python = process.env.MODELWRIGHT_TEST_PYTHON

// The soak of an hour (`npm run soak -- serving`), for a minute: it ends with another status where something failed or memory grew.
it.skipIf(!python)(
  'two models under steady load for a minute fail no request, and their memory stays flat',
  async () => {
    const program = fileURLToPath(new URL('../soak/serving.ts', import.meta.url))
    // Other tests run beside it: a part of what it could take a minute ago may be all that it can take now.
    const words = ['--disable-warning=ExperimentalWarning', program, '--minutes', '1', '--share', '0.1']
    const soak = promisify(execFile)(process.execPath, words)
    // With a status of failure too it tells what it saw.
    const { stdout, stderr } = await soak.catch((failure: { stdout: string; stderr: string }) => failure)
    expect(stdout.trim().split('\n').at(-1), stderr).toMatch(/^\{"soak":"serving","passed":true,/)
  },
)
