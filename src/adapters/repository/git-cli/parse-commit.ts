import { bug } from '../../../kernel/errors.ts'
import type { CommitId } from '../../../kernel/ids.ts'
import type { CommitInfo } from '../../../ports/repository.ts'

/** A raw commit object: headers, an empty line, the message. Continued headers (signatures) begin with a space. */
export function parseCommit(id: string, content: Uint8Array): CommitInfo {
  const text = new TextDecoder().decode(content)
  const end = text.indexOf('\n\n')
  const headers = (end < 0 ? text : text.slice(0, end)).split('\n').filter((line) => !line.startsWith(' '))
  const values = (key: string) =>
    headers.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1))
  const author = /^(.*>) -?\d+ [+-]\d+$/.exec(values('author')[0] ?? '')
  const committed = /> (-?\d+) [+-]\d+$/.exec(values('committer')[0] ?? '')
  if (!committed) throw bug(`Commit ${id} has no committer line that can be read.`)
  return {
    id: id as CommitId,
    parents: values('parent') as CommitId[],
    author: author?.[1] ?? values('author')[0] ?? '',
    message: end < 0 ? '' : text.slice(end + 2),
    at: Number(committed[1]) * 1000,
  }
}
