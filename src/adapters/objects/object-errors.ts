import { AppError } from '../../kernel/errors.ts'

export const unknownObject = (digest: string): AppError =>
  new AppError('NotFound', `There is no object ${digest}.`, 'Check the digest; the object may have been collected.')

export const unknownReceived = (id: string): AppError =>
  new AppError('NotFound', `Nothing is kept that was received as ${id}.`, 'Send it again.')

export const alteredReceived = (id: string, block: number): AppError =>
  new AppError(
    'ObjectCorrupt',
    `The bytes received as ${id} are altered in block ${block}: its checksum is another than when they came in.`,
    'Send them again; then check the disk.',
  )

export const corruptObject = (digest: string, found: string): AppError =>
  new AppError(
    'ObjectCorrupt',
    `The bytes kept as ${digest} have the digest ${found}.`,
    'Restore the object from a backup, or run the step that made it again; then check the disk.',
  )

export const alteredBlock = (digest: string, block: number): AppError =>
  new AppError(
    'ObjectCorrupt',
    `The bytes kept as ${digest} are altered in block ${block}: its checksum is another than when the whole was verified.`,
    'Restore the object from a backup, or run the step that made it again; then check the disk.',
  )

export const differentBytes = (expected: string, found: string): AppError =>
  new AppError(
    'ObjectCorrupt',
    `Bytes announced as ${expected} have the digest ${found}; nothing was kept.`,
    'Send them again; if it recurs, check where they come from.',
  )

const diskFullCodes = ['ENOSPC', 'EDQUOT']

/** The same error, or StorageFull where the system says that the disk is full. */
export function named(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  if (!diskFullCodes.includes(code)) return error
  return new AppError('StorageFull', `The disk that holds ${folder} is full.`, 'Free some space, then try again.', {
    cause: error,
  })
}
