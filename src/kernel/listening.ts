import { AppError } from './errors.ts'

/** A host (IPv6 too) and a port as the beginning of an address. */
export const httpUrl = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

/** Why a server cannot listen, from Node's error; `flags` are those of the command that named host and port. */
export function cannotListen(
  at: { host: string; port: number },
  flags: { port: string; host: string },
  cause: NodeJS.ErrnoException,
): AppError {
  if (cause.code === 'EADDRINUSE')
    return new AppError(
      'PortTaken',
      `Another program listens on ${at.host}:${at.port}.`,
      `Choose another port with ${flags.port}, or end that program.`,
      { cause },
    )
  return new AppError(
    'BadRequest',
    `It is not possible to listen on ${at.host}:${at.port}: ${cause.code}.`,
    `Choose an address of this machine with ${flags.host} and a port that this user may open with ${flags.port}.`,
    { cause },
  )
}
