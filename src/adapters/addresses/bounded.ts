import { AppError } from '../../kernel/errors.ts'
import { formatBytes } from '../../kernel/units.ts'

/** The error where there are more bytes than may be taken; null: there are not. */
export const tooLarge = (address: string, bytes: number, most: number): AppError | null =>
  bytes <= most
    ? null
    : new AppError(
        'DataUnavailable',
        `${address} has ${formatBytes(bytes)} or more; at most ${formatBytes(most)} are taken.`,
        'Start the server with a larger --data-limit, or name a smaller file.',
      )
