import { bug } from '../../../kernel/errors.ts'
import type { TreeEntry } from '../../../ports/repository.ts'

const modes: Record<string, TreeEntry['mode']> = {
  '100644': 'file',
  '100664': 'file', // written by very old versions of git
  '100755': 'executable',
  '120000': 'symlink',
  '160000': 'submodule',
}

/** `MODE TYPE ID SIZE\tPATH\0` for each file: the output of `ls-tree -r -z -l`. */
export function parseTree(output: Uint8Array): TreeEntry[] {
  return new TextDecoder()
    .decode(output)
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const found = /^(\d{6}) \w+ ([0-9a-f]+) +(\d+|-)\t([\s\S]*)$/.exec(line)
      const mode = modes[found?.[1] ?? '']
      if (!found || !mode) throw bug(`git ls-tree wrote a line that is not known: ${line}`)
      return { mode, blob: found[2]!, size: found[3] === '-' ? 0 : Number(found[3]), path: found[4]! }
    })
}
