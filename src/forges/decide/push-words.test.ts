import { describe, expect, it } from 'vitest'
import { AppError } from '../../kernel/errors.ts'
import { printable, refusalLines } from './push-words.ts'

describe('the lines of a refusal', () => {
  it('name code, place, message and next move', () => {
    const error = new AppError('ConfigInvalid', 'unknown key "stepz"', 'Did you mean "steps"?', {
      place: { file: 'modelwright.yaml', line: 4, column: 1 },
    })
    expect(refusalLines('main', error)).toEqual([
      'main is refused: ConfigInvalid',
      '  modelwright.yaml:4:1 unknown key "stepz"',
      '  → Did you mean "steps"?',
    ])
  })

  it('do not name the place twice where each line of the message names its own', () => {
    const error = new AppError('ConfigInvalid', 'm.yaml:4:1 one\nm.yaml:9:2 two', 'Correct both.', {
      place: { file: 'm.yaml', line: 4, column: 1 },
    })
    expect(refusalLines('main', error).slice(1, 3)).toEqual(['  m.yaml:4:1 one', '  m.yaml:9:2 two'])
  })

  it('carry nothing that steers a terminal', () => {
    expect(printable('a\u001b[2Jb\u0007c\td\u009b31m')).toBe('a\ufffd[2Jb\ufffdc\td\ufffd31m')
  })
})
